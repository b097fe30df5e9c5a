"""How soon a model that is not in memory answers, from disk and from S3, and how fast a large artifact is fetched.

Prints medians; ends with 1 below the bars. Run by `make drill-reload`; needs a real S3 server.
"""

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from model_loader import DiskCache
from model_loader.delivery import Delivery, DeliveryOptions
from model_loader.packing import write_archive
from model_loader.s3_client import make_client
from model_loader.s3_source import S3Source
from tests.drills import store_answers
from tests.drills.fault_stand import bucket
from tests.drills.many_models import Base, budget_mb, pack_base, write_variant
from tests.integration.server_process import ServerProcess

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MOST_FROM_DISK_S, MOST_FROM_S3_S = 1.0, 4.0
LEAST_SPEED = 0.5
MB = 1 << 20
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Answers:
    """Seconds of requests for models out of memory. `archive_bytes` is what came from S3 for each."""

    archive_bytes: int
    from_s3_s: list[float]
    from_disk_s: list[float]
    loads: int

    @property
    def asked(self) -> int:
        """Requests; each must have been a load."""
        return len(self.from_s3_s) + len(self.from_disk_s)


@dataclass(frozen=True, slots=True)
class Fetches:
    """Seconds to read an object with one plain GET, and to have it unpacked and verified in the disk cache."""

    archive_bytes: int
    plain_s: list[float]
    fetched_s: list[float]

    @property
    def speed(self) -> float:
        """Of the fetch, as a share of the plain GET's: medians."""
        return statistics.median(self.plain_s) / statistics.median(self.fetched_s)


@contextmanager
def s3_bucket() -> Iterator[tuple["S3Client", str]]:
    """A client of the real server and a bucket of this drill alone."""
    with (
        closing(make_client(endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"], region="us-east-1")) as client,
        bucket(client) as name,
    ):
        yield client, name


def answers(base: Base, work: Path, *, models: int) -> Answers:
    """Each of some models asked for twice in turn, by a server with memory for one."""
    with s3_bucket() as (client, name):
        sizes = [_upload(client, name, base, work, seed=number) for number in range(models)]
        most = max(base.footprint.peak_bytes, int(1.5 * base.footprint.resident_bytes))
        variables = {
            "ABSA_MODEL_STORE": f"s3://{name}",
            "ABSA_MODEL_TTL_S": "3600",
            "ABSA_MEMORY_BUDGET_MB": str(budget_mb(most)),
            "ABSA_CACHE_DIR": str(work / "cache"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        with ServerProcess(variables, log=work / "reload.log") as server:
            server.wait_until_ready()
            first = [_seconds(server, number) for number in range(models)]
            second = [_seconds(server, number) for number in range(models)]
            loads = len(server.events("model_loaded"))
    return Answers(max(sizes), first, second, loads)


def _upload(client: "S3Client", bucket_name: str, base: Base, work: Path, *, seed: int) -> int:
    write_variant(base, folder := work / f"variant-{seed}", seed=seed)
    size = write_archive(folder, archive := work / f"{seed}.tar.gz")
    client.upload_file(str(archive), bucket_name, archive.name)
    archive.unlink()
    return size


def _seconds(server: ServerProcess, number: int) -> float:
    with store_answers.client(server.url) as http:
        begin = time.monotonic()
        http.post("/invocations", json=store_answers.body(f"{number}.tar.gz")).raise_for_status()
        return time.monotonic() - begin


def fetches(base: Base, work: Path, *, size_bytes: int, rounds: int) -> Fetches:
    """A plain GET and a fetch into the disk cache, in turn."""
    write_variant(base, folder := work / "large", seed=0)
    have = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    (folder / "manifest.json").unlink()  # it does not list what is added
    noise = random.Random(1)
    with (folder / "padding.bin").open("wb") as padding:
        for _ in range(max(0, size_bytes - have) // _BLOCK_BYTES):
            padding.write(noise.randbytes(_BLOCK_BYTES))
    size = write_archive(folder, archive := work / "large.tar.gz")
    with s3_bucket() as (client, name):
        client.upload_file(str(archive), name, archive.name)
        archive.unlink()
        source = S3Source(client, name)
        plain, fetched = [], []
        for number in range(rounds):
            plain.append(_plain_s(client, name, archive.name))
            fetched.append(_fetch_s(source, archive.name, work / f"disk-{number}"))
    return Fetches(size, plain, fetched)


def _plain_s(client: "S3Client", bucket_name: str, key: str) -> float:
    begin = time.monotonic()
    with closing(client.get_object(Bucket=bucket_name, Key=key)["Body"]) as body:
        while body.read(_BLOCK_BYTES):
            pass
    return time.monotonic() - begin


def _fetch_s(source: S3Source, name: str, root: Path) -> float:
    delivery = Delivery(source, cache := DiskCache(root), DeliveryOptions())
    version = delivery.resolve(name)
    begin = time.monotonic()
    with delivery.lease(version):
        seconds = time.monotonic() - begin
    delivery.forget(version)
    assert cache.stats().entries == 0
    return seconds


def checks(found: Answers, speed: Fetches) -> dict[str, bool]:
    """The bars."""
    return {
        "each request a load": found.loads == found.asked,
        "from disk": statistics.median(found.from_disk_s) <= MOST_FROM_DISK_S,
        "from S3": statistics.median(found.from_s3_s) <= MOST_FROM_S3_S,
        "speed of a fetch": speed.speed >= LEAST_SPEED,
    }


def _told(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def main(
    models: Annotated[Path, typer.Option(help="folder with aspect/, of which the artifacts are made")],
    count: Annotated[int, typer.Option(help="models of the first part")] = 4,
    megabytes: Annotated[int, typer.Option(help="size of the large artifact")] = 400,
    rounds: Annotated[int, typer.Option(help="plain GETs, and fetches")] = 5,
) -> None:
    """Out of memory, and back."""
    if "AWS_ENDPOINT_URL_S3" not in os.environ:
        Console(stderr=True).print("AWS_ENDPOINT_URL_S3 is not set: a real S3 server is needed")
        raise typer.Exit(2)
    with tempfile.TemporaryDirectory() as work:
        (single := Path(work) / "single").mkdir()
        (single / "aspect").symlink_to((models / "aspect").resolve())
        base = pack_base(single, Path(work) / "base")
        found = answers(base, Path(work), models=count)
        speed = fetches(base, Path(work), size_bytes=megabytes * MB, rounds=rounds)
    table = Table("", "median (least to most)", "at most", title="reload")
    size = found.archive_bytes / MB
    table.add_row("evicted, from disk to answer", _told(found.from_disk_s), f"{MOST_FROM_DISK_S} s")
    table.add_row(f"{size:.0f} MB from S3 to answer", _told(found.from_s3_s), f"{MOST_FROM_S3_S} s")
    table.add_row(f"{speed.archive_bytes / MB:.0f} MB, plain GET", _told(speed.plain_s), "")
    table.add_row("the same, unpacked and hashed", _told(speed.fetched_s), "")
    table.add_row("its speed to the plain GET's", f"{speed.speed:.2f}", f"at least {LEAST_SPEED}")
    Console(width=120).print(table)
    missed = [bar for bar, is_met in checks(found, speed).items() if not is_met]
    if missed:
        Console().print(f"missed: {', '.join(missed)}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    typer.run(main)
