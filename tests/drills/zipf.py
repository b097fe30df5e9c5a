"""Many models of a store under Zipf's law: no error, right answers, memory within its budget, and an honest LRU.

Once with many callers, then with one, each against a server of its own. Prints the figures; ends with 1 below the bars.
Run by `make drill-zipf`.
"""

import math
import shutil
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from absa_server.benchmark.process_tree import resident_bytes
from absa_server.serving.model_memory import room_for_models
from model_loader import Footprint
from tests.drills import store_answers
from tests.drills.many_models import Base, make_bases, write_store
from tests.drills.trend import Trend, trend
from tests.integration.server_process import ServerProcess

EXPONENT = 1.1
MOST_RESIDENT = 1.15
MOST_POINTS = 0.01
SAMPLE_S = 0.2
MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """How many models and requests, and how many models memory and disk have room for."""

    models: int = 200
    requests: int = 5000
    concurrency: int = 16
    in_memory: int = 20
    on_disk: int = 80
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of artifacts, what loading each takes, and what each answers right after that."""

    root: Path
    footprints: Mapping[str, Footprint]
    answers: Mapping[str, Any]

    @property
    def mean_resident_bytes(self) -> float:
        """Of a loaded model."""
        return float(np.mean([one.resident_bytes for one in self.footprints.values()]))

    @property
    def mean_disk_bytes(self) -> float:
        """Of an artifact."""
        sizes = [one.stat().st_size for one in self.root.rglob("*") if one.is_file()]
        return sum(sizes) / len(self.footprints)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run. `resident` is beyond the start's. Ratios are of uses in the cache's own order: a request for what is not
    loaded uses it when its load begins, and whoever waits for that load with it hits.

    `lru` is what a byte-weighted LRU with the room for models makes of the same keys in the same order, `lru_of_sizes`
    one that needs no more room for a load than what stays of it.
    """

    callers: int
    errors: int
    wrong: int
    largest_difference: float
    budget_bytes: int
    peak_resident_bytes: int
    mb_per_1000_requests: Trend
    ratio: float
    lru: float
    lru_of_sizes: float
    evictions: int
    fetches: int
    seconds: float

    @property
    def most_points(self) -> float:
        """How far the ratio may be from the LRU's."""
        return MOST_POINTS if self.callers > 1 else 0.0

    def checks(self, *, is_measured: bool) -> dict[str, bool]:
        """The bars; those of memory are for runs long enough to measure it."""
        found = {
            "no error": self.errors == 0,
            "answers of a fresh load": self.wrong == 0,
            "ratio of an LRU": abs(self.ratio - self.lru) <= self.most_points + 1e-12,
        }
        memory = {
            "resident within the budget": self.peak_resident_bytes <= MOST_RESIDENT * self.budget_bytes,
            "no upward slope": not self.mb_per_1000_requests.is_upward,
        }
        return found | (memory if is_measured else {})


def prepare(plan: Plan, work: Path, bases: Sequence[Base]) -> Store:
    """The store, and the reference answers."""
    root = work / "store"
    footprints = write_store(root, plan.models, bases)
    most = max(one.peak_bytes for one in footprints.values())
    variables = {
        **store_answers.SERVED_AS,
        "ABSA_MODEL_STORE": str(root),
        "ABSA_MEMORY_BUDGET_MB": str(math.ceil(2 * most / MB)),
    }
    answers = store_answers.fresh_answers(variables, footprints, work)
    shutil.rmtree(work / "fresh-cache")
    return Store(root, footprints, answers)


def order(plan: Plan, names: Sequence[str]) -> list[str]:
    """The models asked for, one after the other: the one of rank r with a probability like 1 / r ** 1.1."""
    random = np.random.default_rng(plan.seed)
    shares = 1 / np.arange(1, len(names) + 1) ** EXPONENT
    ranked = random.permutation(names)
    return [str(name) for name in random.choice(ranked, plan.requests, p=shares / shares.sum())]


def simulate(keys: Sequence[str], footprints: Mapping[str, Footprint], budget_bytes: int) -> float:
    """The share of `keys` that a byte-weighted LRU holds when they come; a load needs its peak, and keeps the rest."""
    held: OrderedDict[str, int] = OrderedDict()
    hits = 0
    for key in keys:
        if key in held:
            hits += 1
            held.move_to_end(key)
            continue
        while held and sum(held.values()) + footprints[key].peak_bytes > budget_bytes:
            held.popitem(last=False)
        held[key] = footprints[key].resident_bytes
    return hits / len(keys)


def run(plan: Plan, store: Store, work: Path, *, callers: int) -> Outcome:
    """One server under the plan's requests, from `callers` at a time."""
    budget_mb = math.ceil(plan.in_memory * store.mean_resident_bytes / MB)
    variables = {
        **store_answers.SERVED_AS,
        "ABSA_MODEL_STORE": str(store.root),
        "ABSA_MODEL_TTL_S": "3600",
        "ABSA_MEMORY_BUDGET_MB": str(budget_mb),
        "ABSA_DISK_BUDGET_MB": str(math.ceil(plan.on_disk * store.mean_disk_bytes / MB)),
        "ABSA_CACHE_DIR": str(work / f"cache-{callers}"),
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "DEBUG",
    }
    with ServerProcess(variables, log=work / f"server-{callers}.log") as server:
        server.wait_until_ready()
        server.wait_for_event("engine_warm")  # the engine's libraries are no model's
        before = resident_bytes(server.pid)
        notes = _Notes(store, server.pid)
        begin = time.monotonic()
        with notes, ThreadPoolExecutor(callers) as pool:
            list(pool.map(lambda name: notes.ask(server.url, name), order(plan, list(store.footprints))))
        seconds = time.monotonic() - begin
        with store_answers.client(server.url) as http:
            metrics = _metrics(http.get("/metrics").text)
    asked = [(_name(one["key"]), one["found"]) for one in server.events("memory_used")]
    keys = [name for name, _ in asked]
    sizes = {name: Footprint.of(one.resident_bytes) for name, one in store.footprints.items()}
    half = [(at, size) for at, size in notes.sizes if at >= plan.requests / 2]
    return Outcome(
        callers=callers,
        errors=notes.errors,
        wrong=notes.wrong,
        largest_difference=notes.largest_difference,
        budget_bytes=budget_mb * MB,
        peak_resident_bytes=max(size for _, size in notes.sizes) - before,
        mb_per_1000_requests=trend([at / 1000 for at, _ in half], [size / MB for _, size in half]),
        ratio=sum(found != "nothing" for _, found in asked) / len(asked),
        lru=simulate(keys, store.footprints, room_for_models(budget_mb * MB)),
        lru_of_sizes=simulate(keys, sizes, room_for_models(budget_mb * MB)),
        evictions=int(metrics["absa_models_evictions_total"]),
        fetches=int(metrics["absa_store_fetches_total"]),
        seconds=seconds,
    )


class _Notes:
    """What came of the requests, and the server's resident memory meanwhile, by the number of requests answered."""

    def __init__(self, store: Store, pid: int) -> None:
        self._store = store
        self._pid = pid
        self._lock = threading.Lock()
        self._local = threading.local()
        self._clients: list[httpx.Client] = []
        self._is_over = threading.Event()
        self._sampler = threading.Thread(target=self._sample)
        self._answered = self.errors = self.wrong = 0
        self.largest_difference = 0.0
        self.sizes: list[tuple[int, int]] = []

    def __enter__(self) -> "_Notes":
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._sampler.join()
        for http in self._clients:
            http.close()

    def ask(self, url: str, name: str) -> None:
        """One request, judged."""
        if not hasattr(self._local, "http"):
            self._local.http = store_answers.client(url)
            self._clients.append(self._local.http)
        response = self._local.http.post("/invocations", json=store_answers.body(name))
        found = math.inf
        if is_answer := response.status_code == 200:
            found = store_answers.difference(response.json(), self._store.answers[name])
        with self._lock:
            self._answered += 1
            self.errors += not is_answer
            self.wrong += is_answer and found > store_answers.TOLERANCE
            self.largest_difference = max(self.largest_difference, found)

    def _sample(self) -> None:
        while True:
            self.sizes.append((self._answered, resident_bytes(self._pid)))
            if self._is_over.wait(SAMPLE_S):
                self.sizes.append((self._answered, resident_bytes(self._pid)))
                return


def _name(key: str) -> str:
    return key.rpartition("#")[0].rpartition("/")[2]


def _metrics(text: str) -> dict[str, float]:
    rows = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("absa_") and "{" not in line)
    return {name: float(value) for name, value in rows}


def drill(plan: Plan, work: Path, bases: Sequence[Base]) -> list[Outcome]:
    """With the plan's callers, then with one."""
    store = prepare(plan, work, bases)
    return [run(plan, store, work, callers=callers) for callers in (plan.concurrency, 1)]


def main(
    models: Annotated[int, typer.Option(help="artifacts in the store")] = 200,
    requests: Annotated[int, typer.Option(help="requests of each run")] = 5000,
    concurrency: Annotated[int, typer.Option(help="callers at a time of the first run")] = 16,
    in_memory: Annotated[int, typer.Option(help="models that memory has room for")] = 20,
    on_disk: Annotated[int, typer.Option(help="models that the disk has room for")] = 80,
) -> None:
    """Many models, few of them in memory."""
    plan = Plan(models, requests, concurrency, in_memory, on_disk)
    with tempfile.TemporaryDirectory() as work:
        # About 8, 10 and 12 MB an artifact: an LRU that counts entries would not do.
        outcomes = drill(plan, Path(work), make_bases(Path(work), (256, 288, 320)))
    table = Table("", *(f"{one.callers} callers" for one in outcomes), title=f"{models} models, Zipf({EXPONENT})")
    rows: dict[str, Callable[[Outcome], str]] = {
        "errors, wrong": lambda one: f"{one.errors}, {one.wrong}",
        "largest difference": lambda one: f"{one.largest_difference:.1e}",
        "budget MB": lambda one: f"{one.budget_bytes / MB:.0f}",
        "resident MB beyond the start's": lambda one: f"{one.peak_resident_bytes / MB:.0f}",
        "resident / budget": lambda one: f"{one.peak_resident_bytes / one.budget_bytes:.2f}",
        "MB per 1,000 requests, second half": lambda one: "{:+.2f} ({:+.2f} to {:+.2f})".format(
            *(getattr(one.mb_per_1000_requests, end) for end in ("slope", "low", "high"))
        ),
        "hit ratio": lambda one: f"{one.ratio:.4f}",
        "LRU's on the same keys": lambda one: f"{one.lru:.4f}",
        "LRU's without the peaks of loads": lambda one: f"{one.lru_of_sizes:.4f}",
        "evictions, fetches": lambda one: f"{one.evictions}, {one.fetches}",
        "seconds": lambda one: f"{one.seconds:.0f}",
        "missed": lambda one: ", ".join(bar for bar, is_met in one.checks(is_measured=True).items() if not is_met),
    }
    for title, show in rows.items():
        table.add_row(title, *(show(one) for one in outcomes))
    Console(width=120).print(table)
    sys.exit(not all(all(one.checks(is_measured=True).values()) for one in outcomes))


if __name__ == "__main__":
    typer.run(main)
