"""absa-server beside other model servers: runs the comparison of a folder of peers with our contestants in it.

The folder (`bench.py`, `limit.py`, `contestants/`) is copied to a work folder, the contestants beside this file are
added, and its own programs do the measuring; then one table sets the medians against the bars. Run by
`make bench-peers`.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from rich.console import Console

from tests.drills.peers.ratios import ratio_table

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]
OURS = ("absa", "absa-f32", "absa-bf16", "absa-int8", "absa-sentence")
REFERENCE = "naive"  # bench.py computes the reference answers in this contestant's environment


def prepare(peers: Path, work: Path, *, int8: Path | None) -> Path:
    """A copy of `peers` under `work`, with our contestants in it."""
    copy = work / "peers"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(peers, copy, copy_function=shutil.copyfile)
    for folder in (HERE / "contestants").iterdir():
        if folder.name == "absa-int8" and int8 is None:
            continue
        target = copy / "contestants" / folder.name
        shutil.copytree(folder, target)
        file = target / "contestant.toml"
        text = file.read_text(encoding="utf-8").replace("@CHECKOUT@", str(CHECKOUT)).replace("@INT8@", str(int8))
        file.write_text(text, encoding="utf-8")
    return copy


def lend_environment(peers: Path, work: Path, contestant: str) -> None:
    """Let `contestant` run with this environment's packages, so that none of its own has to be installed."""
    folder = work / "venv" / contestant
    venv.create(folder, clear=True, symlinks=True)
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (site / "lent.pth").write_text(line, encoding="utf-8")
    # bench.py installs where this stamp does not name the requirements as they are.
    names = ("requirements.txt", "requirements-nodeps.txt")
    wanted = (peers / "contestants" / contestant / name for name in names)
    content = b"".join(file.read_bytes() for file in wanted if file.exists())
    (folder / "installed").write_text(hashlib.sha256(content).hexdigest(), encoding="utf-8")


def run(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """The rows of this run, as bench.py wrote them."""
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    peers = prepare(arguments.peers, work, int8=arguments.int8)
    only = arguments.only.split(",")
    lend_environment(peers, work, "absa")
    if REFERENCE not in only:
        lend_environment(peers, work, REFERENCE)
    results = work / "results.jsonl"
    known = len(_lines(results))
    common = ["--models", arguments.models, "--texts", arguments.texts, "--work", work]
    common += ["--long", arguments.long] if arguments.long else []
    options = ["--only", arguments.only, "--rounds", arguments.rounds, "--seconds", arguments.seconds]
    options += ["--workloads", arguments.workloads] if arguments.workloads else []
    _python(sys.executable, peers / "bench.py", *common, *options)
    if arguments.limit_python:
        _python(arguments.limit_python, peers / "limit.py", *common)
    return _lines(results)[known:]


def _lines(file: Path) -> list[dict[str, object]]:
    """What a JSON Lines file holds; nothing where there is none, as when bench.py reports no contestant at all."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def _python(program: Path | str, *arguments: object) -> None:
    # What a server of ours is told is in its contestant.toml: nothing of this shell's may leak into it.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ABSA_", "SAGEMAKER_"))}
    subprocess.run([str(program), *map(str, arguments)], env=kept, check=True)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True, help="folder with bench.py, limit.py and contestants/")
    parser.add_argument("--models", type=Path, required=True, help="folder with aspect/ and sentiment/")
    parser.add_argument("--texts", type=Path, required=True, help="short texts, JSON Lines")
    parser.add_argument("--long", type=Path, help="whole reviews, JSON Lines")
    parser.add_argument("--work", type=Path, required=True, help="for copies, environments (1 GB a peer) and results")
    parser.add_argument("--int8", type=Path, help="an int8 artifact of the same models, for absa-int8")
    parser.add_argument("--only", default="mms-hf,litserve,absa-f32", help="contestants, interleaved in this order")
    parser.add_argument("--workloads", help="chain-short, chain-long, batch; comma-separated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--limit-python", help="run limit.py too, with this Python (its requirements: peers/README.md)")
    arguments = parser.parse_args()
    for name in ("peers", "models", "texts", "long", "work", "int8"):
        if getattr(arguments, name):
            setattr(arguments, name, getattr(arguments, name).resolve())
    unknown = [name for name in arguments.only.split(",") if name.startswith("absa") and name not in OURS]
    if unknown or ("absa-int8" in arguments.only and arguments.int8 is None):
        parser.error(f"ours are {', '.join(OURS)}; absa-int8 needs --int8")
    rows = run(arguments)
    Console(width=160).print(ratio_table(rows, _lines(arguments.work / "limit.jsonl")))
    return 0 if any(str(row["contestant"]).startswith("absa") for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
