"""`kill -9` of a server at random moments between asking for a cold model and its answer, and what the next one finds.

Each time another server starts on the same cache folder: nothing half-written may be left, the bytes on disk must be
those that it counts, and the model must answer what it answers after any other load. S3 is slowed down by a proxy, so
that moments fall into download, unpacking and load. Run by `make drill-kill`; needs a real S3 server.
"""

import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import typer
from rich.console import Console
from rich.table import Table

from model_loader.disk_entry import disk_bytes
from model_loader.packing import write_archive
from model_loader.s3_client import make_client
from tests.drills import store_answers
from tests.drills.fault_stand import bucket
from tests.drills.many_models import Base, make_bases, write_store
from tests.faults.proxy import FaultProxy, Request, Rule
from tests.integration.server_process import ServerProcess

PHASES = ("download", "unpack", "load", "answered")
# What the first range of an archive waits for, half as long as the later ones: a load takes about as long, so that
# every phase is met.
SLOW_S = 0.4


@dataclass(frozen=True, slots=True)
class Kill:
    """One death: after how long, in the middle of what, and what the next server found."""

    name: str
    after_s: float
    phase: str
    leftovers: tuple[str, ...]
    uncounted_bytes: int
    is_right: bool


@dataclass(frozen=True, slots=True)
class Stand:
    """Where models lie, what they answer, and the folder on which one server follows another."""

    variables: dict[str, str]
    answers: dict[str, Any]
    cache: Path
    work: Path

    def start(self, number: int) -> ServerProcess:
        """The server after `number` deaths."""
        log = self.work / f"server-{number}.log"
        server = ServerProcess(self.variables | {"ABSA_CACHE_DIR": str(self.cache)}, log=log)
        try:
            server.wait_until_ready()
        except BaseException:
            server.kill()
            raise
        return server


def drill(kills: int, work: Path, bases: Sequence[Base], *, slow_s: float = SLOW_S, seed: int = 1) -> list[Kill]:
    """As many deaths, each with a model that nobody has asked for before."""
    folders = work / "models"
    footprints = write_store(folders, kills + 1, bases)
    variables = {**store_answers.SERVED_AS, "ABSA_MEMORY_BUDGET_MB": "512", "ABSA_MODEL_TTL_S": "3600"}
    answers = store_answers.fresh_answers(variables | {"ABSA_MODEL_STORE": str(folders)}, footprints, work)
    upstream = urlsplit(os.environ["AWS_ENDPOINT_URL_S3"])
    with (
        closing(make_client(endpoint_url=upstream.geturl(), region="us-east-1")) as client,
        bucket(client) as name,
        FaultProxy((str(upstream.hostname), upstream.port or 80)) as proxy,
    ):
        for model in footprints:
            write_archive(folders / model, archive := work / f"{model}.tar.gz")
            client.put_object(Bucket=name, Key=archive.name, Body=archive.read_bytes())
            archive.unlink()
        proxy.add(Rule(when=_is_later_part, times=None, before=lambda: time.sleep(2 * slow_s)))
        proxy.add(Rule(times=None, before=lambda: time.sleep(slow_s)))
        variables |= {
            "ABSA_MODEL_STORE": f"s3://{name}",
            # Room for a third of them: entries are evicted as well.
            "ABSA_DISK_BUDGET_MB": str(max(8, _megabytes(folders) // 3)),
            "AWS_ENDPOINT_URL_S3": proxy.url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return list(_kills(Stand(variables, answers, work / "cache", work), kills, seed))


def _is_later_part(request: Request) -> bool:
    return request.method == "GET" and not request.headers.get("range", "bytes=0-").startswith("bytes=0-")


def _kills(stand: Stand, kills: int, seed: int) -> Iterator[Kill]:
    moments = random.Random(seed)
    server = stand.start(0)
    try:
        first, *names = stand.answers
        begin = time.monotonic()
        assert _is_right(stand, server, first), "a server that nobody kills must answer"
        whole_s = time.monotonic() - begin
        for number, name in enumerate(names[:kills], start=1):
            after_s = moments.uniform(0, whole_s)
            phase = _kill(stand, server, name, after_s)
            server = stand.start(number)
            leftovers, uncounted = _leftovers(stand.cache), _uncounted_bytes(stand.cache, server)
            is_right = _is_right(stand, server, name)
            uncounted = max(uncounted, _uncounted_bytes(stand.cache, server), key=abs)
            yield Kill(name, after_s, phase, leftovers, uncounted, is_right)
        server.stop()
    finally:
        server.kill()


def _kill(stand: Stand, server: ServerProcess, name: str, after_s: float) -> str:
    """Asks for `name`, ends the server that long after, and returns what it was at."""

    def ask() -> None:
        with suppress(httpx.HTTPError), store_answers.client(server.url) as http:
            http.post("/invocations", json=store_answers.body(f"{name}.tar.gz"))

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join(after_s)
    server.kill()
    asking.join()
    if name not in {event["model"].removesuffix(".tar.gz") for event in server.events("artifact_fetched")}:
        has_content = any(file.is_file() for file in stand.cache.glob("*/temporary/*/content/**/*"))
        return "unpack" if has_content else "download"
    is_loaded = len(server.events("model_loaded")) == len(server.events("artifact_fetched"))
    return "answered" if is_loaded else "load"


def _is_right(stand: Stand, server: ServerProcess, name: str) -> bool:
    with store_answers.client(server.url) as http:
        response = http.post("/invocations", json=store_answers.body(f"{name}.tar.gz"))
    if response.status_code != 200:
        return False
    return store_answers.difference(response.json(), stand.answers[name]) <= store_answers.TOLERANCE


def _leftovers(cache: Path) -> tuple[str, ...]:
    """What lies in the cache beside complete entries and the locks."""
    files = (file.relative_to(cache).parts[1:] for file in cache.rglob("*") if file.is_file())
    return tuple("/".join(parts) for parts in files if not _is_kept(parts))


def _is_kept(parts: tuple[str, ...]) -> bool:
    if parts[0] == "entries":
        return parts[2:] == ("entry.json",) or parts[2] == "content"
    return parts == ("cache.lock",)


def _uncounted_bytes(cache: Path, server: ServerProcess) -> int:
    """Bytes of entries on disk beyond those that the server counts."""
    lines = httpx.get(f"{server.url}/metrics", timeout=60, trust_env=False).text.splitlines()
    counted = next(float(line.split()[1]) for line in lines if line.startswith("absa_disk_cache_bytes "))
    return sum(disk_bytes(content) for content in cache.glob("*/entries/*/content")) - int(counted)


def _megabytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) >> 20


def main(kills: Annotated[int, typer.Option(help="how often the server is killed")] = 50) -> None:
    """Kill it again and again."""
    if "AWS_ENDPOINT_URL_S3" not in os.environ:
        Console(stderr=True).print("AWS_ENDPOINT_URL_S3 is not set: a real S3 server is needed")
        raise typer.Exit(2)
    with tempfile.TemporaryDirectory() as work:
        done = drill(kills, Path(work), make_bases(Path(work), (288,)))
    phases = Counter(kill.phase for kill in done)
    table = Table("", "", title=f"{kills} times kill -9", show_header=False)
    for phase in PHASES:
        table.add_row(f"killed in: {phase}", str(phases[phase]))
    table.add_row("wrong or no answer afterwards", ", ".join(kill.name for kill in done if not kill.is_right) or "0")
    table.add_row("leftovers", "; ".join(kill.leftovers[0] for kill in done if kill.leftovers) or "0")
    table.add_row("largest bytes on disk beyond what is counted", str(max(abs(kill.uncounted_bytes) for kill in done)))
    Console(width=120).print(table)
    is_met = all(kill.is_right and not kill.leftovers and kill.uncounted_bytes == 0 for kill in done)
    sys.exit(not (is_met and all(phases[phase] for phase in PHASES[:3])))


if __name__ == "__main__":
    typer.run(main)
