"""The child process that converts: a transformers model to OpenVINO's IR, or a slow tokenizer to tokenizer.json.

    python -m absa_server.engines.compile network <model folder> <out folder> <task> <labels>
    python -m absa_server.engines.compile tokenizer <model folder> <out folder>

torch and transformers live and die here. One JSON line on stdout tells the outcome: `{}`, or the error's class and
message.
"""

import ctypes
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from absa_server.errors import InvalidModel

TOKENIZER = "tokenizer.json"
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """One conversion. The exit code is 0 when the outcome was told, whatever it is."""
    _depend_on_parent()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries may print; only the outcome goes to stdout
    outcome: dict[str, str] = {}
    try:
        _convert(*arguments)
    except InvalidModel as error:
        outcome = {"error": type(error).__name__, "message": error.message}
    json.dump(outcome, answers)
    answers.close()
    return 0


def _convert(kind: str, folder: str, out: str, *rest: str) -> None:
    if kind == "network":
        task, labels = rest
        _convert_network(Path(folder), Path(out), task=task, labels=int(labels))
    else:
        from absa_server.engines.convert_tokenizer import convert_slow_tokenizer  # noqa: PLC0415

        (Path(out) / TOKENIZER).write_text(convert_slow_tokenizer(Path(folder)), encoding="utf-8")


def _convert_network(folder: Path, out: Path, *, task: str, labels: int) -> None:
    try:
        from absa_server.engines.convert_network import convert_network  # noqa: PLC0415  seconds that a tokenizer does not need
    except ImportError as error:
        raise InvalidModel(
            f"{folder.name}/ brings no compiled network, and nothing here can make one ({error}); pack it into the "
            "artifact, or use an image built with TORCH=cpu"
        ) from error
    convert_network(folder, out, task=task, labels=labels)


def _depend_on_parent() -> None:
    """Ends with the parent, whatever ends that; and is the first that a kernel short of memory takes."""
    parent = os.getppid()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(1)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
