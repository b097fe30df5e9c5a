"""Two instances under load: one retired by SIGTERM, one killed by SIGKILL, both replaced. How many requests are lost?

None by SIGTERM; by SIGKILL only those that were in flight there. Run by `make drill-instances`.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from local_sagemaker.fleet import Fleet
from local_sagemaker.instance import Instance
from tests.drills.platform import container, images
from tests.local_sagemaker.stand import Stand, configuration, stand

BODY = json.dumps({"texts": ["The food was great, but the service was slow."] * 4})
WAIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Phase:
    """What happened while one instance was ended and replaced. `in_flight` were there when it was."""

    name: str
    answered: int
    lost: int
    in_flight: int
    replaced_s: float


class Load:
    """Closed-loop clients that never pause."""

    def __init__(self, client: Any, clients: int) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._client = client
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(clients)
        self._futures = [self._pool.submit(self._run) for _ in range(clients)]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._client.invoke_endpoint(EndpointName="m", Body=BODY, ContentType="application/json")["Body"].read()
            except Exception as error:
                with self._lock:
                    self.failures.append(repr(error))
            else:
                with self._lock:
                    self.answered += 1

    def stop(self) -> None:
        """Let every client finish its request."""
        self._stop.set()
        for future in self._futures:
            future.result(WAIT_S)
        self._pool.shutdown()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll; AssertionError when it does not happen."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)


def drill(models: Path, work: Path, *, clients: int, threads: str = "", seconds: float = 3.0) -> list[Phase]:
    """A phase for SIGTERM and one for SIGKILL; `seconds` of load pass before each and after the replacement."""
    variant = {"InitialInstanceCount": 2, "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}}
    described = configuration(images(threads), [{"ModelName": "m", "PrimaryContainer": container(models)}], m=variant)
    with stand(described, work) as running:
        load = Load(running.client(), clients)
        try:
            return [
                _phase("SIGTERM", running, load, seconds, lambda fleet, one: running.run(_retire(fleet, one))),
                _phase("SIGKILL", running, load, seconds, lambda _, one: running.run(_kill(one))),
            ]
        finally:
            load.stop()


def _phase(name: str, running: Stand, load: Load, seconds: float, end: Callable[[Fleet, Instance], int]) -> Phase:
    fleet = running.platform.endpoints["m"].fleets["AllTraffic"]
    answered, lost = load.answered, len(load.failures)
    goal = answered + max(1, int(seconds * 5))
    wait_until(lambda: load.answered >= goal, "the load runs")
    instance = fleet.instances[0]
    wait_until(lambda: instance.in_flight > 0, "requests are in flight there")
    begin = time.monotonic()
    in_flight = end(fleet, instance)
    wait_until(lambda: instance.state == "Ended" and len(fleet.in_service) == 2, "the instance is replaced")
    replaced_s = time.monotonic() - begin
    after = load.answered + max(1, int(seconds * 5))
    wait_until(lambda: load.answered >= after, "the load goes on")
    return Phase(name, load.answered - answered, len(load.failures) - lost, in_flight, replaced_s)


async def _retire(fleet: Fleet, instance: Instance) -> int:
    """How many requests were in flight there when it was told to go."""
    in_flight = instance.in_flight
    await fleet.retire(instance)
    return in_flight


async def _kill(instance: Instance) -> int:
    """How many requests were in flight there when its processes were gone.

    Blocks the platform's event loop until then: a process of half a gigabyte dies slowly, and takes connections
    meanwhile, which nobody else could count.
    """
    pid = instance.containers[0].pid
    assert pid is not None
    pids = _descendants(pid)
    os.killpg(pid, signal.SIGKILL)
    while any(map(_is_alive, pids)):
        time.sleep(0.001)  # noqa: ASYNC251  see above
    return instance.in_flight


def _is_alive(pid: int) -> bool:
    """Whether it still holds what it had open: some thread of it lives, be its first one a zombie already."""
    try:
        stats = [(thread / "stat").read_text() for thread in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:  # gone meanwhile, or one of its threads: then it is looked at again
        return Path(f"/proc/{pid}").exists()
    return any(stat.rpartition(")")[2].split()[0] not in "ZX" for stat in stats)


def _descendants(pid: int) -> list[int]:
    """The process and all that it started, at this moment."""
    pids = [pid]
    for one in pids:
        pids += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return pids


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder with aspect/ and sentiment/")
    parser.add_argument("--clients", type=int, default=16)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work, Console().status("under load …"):
        phases = drill(arguments.models, Path(work), clients=arguments.clients)
    table = Table("ended by", "answered", "lost", "in flight there", "replaced after s")
    for phase in phases:
        row = (phase.name, phase.answered, phase.lost, phase.in_flight, f"{phase.replaced_s:.1f}")
        table.add_row(*map(str, row))
    Console().print(table)
    terminated, killed = phases
    return 0 if terminated.lost == 0 and killed.lost <= killed.in_flight else 1


if __name__ == "__main__":
    sys.exit(main())
