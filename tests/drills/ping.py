"""How long `/ping` takes: while a model loads, with a broken model, under full load, and beside 25 MB bodies.

Prints p50, p99 and the worst for each; checks statuses, and that a broken model is told once. Run by `make drill-ping`.
"""

import argparse
import http.client
import json
import multiprocessing
import multiprocessing.synchronize
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.integration.server_process import ServerProcess

MB = 1024 * 1024
JSON = "application/json"
LIMITS = {"ABSA_MAX_TEXT_CHARS": "30000"}  # so that 25 MB of legal records exist: 1,000 long texts
SENTENCES = [
    "The food was great, but the service was slow.",
    "I love the keyboard and the battery life, the screen is a bit dim though.",
    "We sat by the window and had the soup of the day, the duck and two desserts; the waiter forgot our drinks.",
    "Never again.",
]


@dataclass(frozen=True, slots=True)
class Probes:
    """Every `/ping` of one phase: status, and seconds from connect to the end of the answer."""

    statuses: list[int]
    seconds: list[float]

    def row(self) -> tuple[str, str, str, str]:
        """Count, p50, p99 and maximum, in milliseconds."""
        ordered = sorted(self.seconds)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        return str(len(ordered)), *(f"{1000 * value:.1f}" for value in (statistics.median(ordered), p99, ordered[-1]))


def probe(
    port: int, *, seconds: float, every_s: float = 0.02, until: Callable[[int], bool] = lambda _: False
) -> Probes:
    """Asks `/ping` on a new connection each time, as the platform does, until `until` is told a status it waits for."""
    probes = Probes([], [])
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/ping")
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert body == b"", "the contract asks for an empty body"
        probes.seconds.append(time.perf_counter() - begin)
        probes.statuses.append(response.status)
        if until(response.status):
            break
        time.sleep(every_s)
    return probes


def large_bodies(size: int) -> dict[str, bytes]:
    """Bodies of about `size` bytes that cost parsing and no inference."""
    long_texts = [{"text": "word " * (size // 5_200), "aspects": []}] * 1000
    return {
        "one text": json.dumps({"text": "word " * (size // 5)}).encode(),
        "long texts": json.dumps({"inputs": long_texts}).encode(),
        "small records": json.dumps({"inputs": [{"id": 1, "text": "ok", "aspects": []}] * (size // 41)}).encode(),
        "lines": b'{"text": "ok", "aspects": []}\n' * (size // 30),
        "emoji": json.dumps({"text": "😀" * (size // 4)}, ensure_ascii=False).encode(),
        "nested": b"[" * size,
    }


def _send(port: int, bodies: list[tuple[str, bytes]], clients: int, stop: "multiprocessing.synchronize.Event") -> None:
    """Closed-loop clients in a process of their own, so that they do not slow the prober down."""

    os.nice(
        10
    )  # on one machine the clients would take from the server the cores that they have for themselves elsewhere
    unexpected: set[int] = set()

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for content_type, body in cycle(bodies[number % len(bodies) :] + bodies[: number % len(bodies)]):
            if stop.is_set():
                break
            connection.request("POST", "/invocations", body=body, headers={"Content-Type": content_type})
            response = connection.getresponse()
            response.read()
            unexpected.update({response.status} - {200, 400})
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if unexpected:
        sys.exit(f"answers other than 200 and 400: {unexpected}")


@contextmanager
def load(port: int, bodies: list[tuple[str, bytes]], clients: int) -> Iterator[None]:
    """Keeps `clients` requests under way while the block runs."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=_send, args=(port, bodies, clients, stop))
    process.start()
    try:
        yield
    finally:
        stop.set()
        process.join(120)
        assert process.exitcode == 0, "a client got an answer that is neither 200 nor 400"


def drill(models: Path, work: Path, *, seconds: float, broken_seconds: float, body_bytes: int) -> dict[str, Probes]:
    """All phases against real server processes. Raises AssertionError when a status is not the contract's."""
    phases: dict[str, Probes] = {}
    with ServerProcess({"ABSA_MODEL_DIR": str(models)}, log=work / "loading.log") as server:
        server.wait_until_bound()
        phases["while loading"] = probe(server.port, seconds=120, until=lambda status: status == 200)
    assert set(phases["while loading"].statuses[:-1]) <= {503}
    assert phases["while loading"].statuses[-1] == 200

    phases["broken model"] = _broken(work, broken_seconds)
    with ServerProcess({"ABSA_MODEL_DIR": str(models), **LIMITS}, log=work / "server.log") as server:
        server.wait_until_ready()
        short = [(JSON, json.dumps({"text": sentence}).encode()) for sentence in SENTENCES]
        with load(server.port, short, clients=32):
            time.sleep(min(1.0, seconds))  # until the load is at its height
            phases["32 clients"] = probe(server.port, seconds=seconds)
        for name, body in large_bodies(body_bytes).items():
            kind = "application/jsonlines" if name == "lines" else JSON
            with load(server.port, [(kind, body)], clients=2), load(server.port, short, clients=8):
                time.sleep(min(1.0, seconds))  # until the load is at its height
                phases[f"{body_bytes // MB} MB, {name}"] = probe(server.port, seconds=seconds)
    for name, probes in phases.items():
        assert name in {"while loading", "broken model"} or set(probes.statuses) == {200}, name
    return phases


def _broken(work: Path, seconds: float) -> Probes:
    broken = work / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    with ServerProcess({"ABSA_MODEL_DIR": str(broken)}, log=work / "broken.log") as server:
        server.wait_until_bound()
        probes = probe(server.port, seconds=seconds, every_s=0.1)
    assert set(probes.statuses) == {503}, "a model that cannot be loaded is never healthy"
    assert len(server.events("model_load_failed")) == 1, "one clear log line tells why"
    return probes


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder with aspect/ and sentiment/")
    parser.add_argument("--seconds", type=float, default=15, help="length of each phase under load")
    parser.add_argument("--broken-seconds", type=float, default=60, help="how long the broken model is watched")
    arguments = parser.parse_args()
    table = Table("phase", "pings", "p50 ms", "p99 ms", "max ms", title="GET /ping")
    with tempfile.TemporaryDirectory() as work, Console().status("measuring …"):
        phases = drill(
            arguments.models.resolve(),  # servers start in folders of their own
            Path(work),
            seconds=arguments.seconds,
            broken_seconds=arguments.broken_seconds,
            body_bytes=25 * MB - 1024,
        )
    for name, probes in phases.items():
        table.add_row(name, *probes.row())
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
