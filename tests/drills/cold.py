"""Latency of a hot model at a third of what it can do, while cold compiled models load without pause, one at a time.

Quiet and loud windows take turns, so that whatever else the machine does meets both; medians are compared. Prints the
figures; ends with 1 below the bar. Run by `make drill-cold`.
"""

import itertools
import math
import random
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from absa_server.benchmark.cells import Cell, summarise
from absa_server.benchmark.generator import Generator
from absa_server.benchmark.load import Job, Trace
from absa_server.benchmark.process_tree import Usage
from absa_server.benchmark.session import Plan, Session
from absa_server.benchmark.texts import Target, build_requests, parse_target
from tests.drills import store_answers
from tests.drills.many_models import Base, budget_mb, pack_base, write_variant
from tests.integration.server_process import ServerProcess

HOT = "hot"
SHARE_OF_KNEE = 0.3
MOST, AIM = 2.0, 1.5
COLD = 4
MB = 1 << 20
# All different, as reviews are: rows that wait for a model at one time and are equal are computed once, and with four
# texts in turn the knee was three times what it is.
_SENTENCES = (
    "The {dish} was great, but the {other} was {bad}.",
    "I love the {dish} and the {other}, the waiter is a bit {bad} though.",
    "We sat by the window and had the {dish} of the day and two desserts; they forgot our {other}, which was {bad}.",
    "Never {bad} again.",
)
_DISHES = ("soup", "pizza", "fish", "pasta", "steak", "salad")
_OTHERS = ("service", "bread", "music", "wine", "dessert")
_BAD = ("slow", "bland", "dull", "cold", "late", "poor")


def make_texts() -> list[str]:
    """Some hundred different reviews of several lengths, shuffled but always alike."""
    fields = itertools.product(_SENTENCES, _DISHES, _OTHERS, _BAD)
    texts = sorted({sentence.format(dish=dish, other=other, bad=bad) for sentence, dish, other, bad in fields})
    random.Random(1).shuffle(texts)
    return texts


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of each window and of the cells that find the knee, and how many windows of each kind there are."""

    window_s: float = 20.0
    windows: int = 5
    knee_s: float = 8.0
    knee_rates: int = 7


@dataclass(frozen=True, slots=True)
class Outcome:
    """The windows in pairs, and the cold loads that fell into the loud ones."""

    knee_rps: float
    quiet: list[Cell]
    loud: list[Cell]
    cold_loads: int
    errors: int

    @property
    def ratio(self) -> float:
        """Of the medians of p99, loud to quiet."""
        return _median(self.loud) / _median(self.quiet)


def _median(cells: Sequence[Cell]) -> float:
    return statistics.median(cell.p99_ms if cell.p99_ms is not None else math.inf for cell in cells)


class _Silent:
    """An observer of the benchmark that tells nobody."""

    def begin(self, what: str, expected_s: float) -> None:
        """See `Observer`."""

    def done(self, cell: Cell) -> None:
        """See `Observer`."""


def drill(base: Base, work: Path, times: Times) -> Outcome:
    """A hot model and `COLD` cold ones, all of `base`'s size, in memory for two of them."""
    store = work / "store"
    for number, name in enumerate((HOT, *_cold_names())):
        write_variant(base, store / name, seed=number)
    room = base.footprint.resident_bytes + max(base.footprint.peak_bytes, int(1.5 * base.footprint.resident_bytes))
    variables = {
        "ABSA_MODEL_STORE": str(store),
        "ABSA_DEFAULT_MODEL": HOT,
        "ABSA_MODEL_TTL_S": "3600",
        "ABSA_MEMORY_BUDGET_MB": str(budget_mb(room)),
        "ABSA_CACHE_DIR": str(work / "cache"),
    }
    with ServerProcess(variables, log=work / "cold.log") as server:
        server.wait_until_ready()
        with _loads(server.url) as loads:
            while loads.count < 2 * COLD:  # fetched and compiled: from now on they come from disk
                loads.step()
        return _measure(server, times)


def _cold_names() -> list[str]:
    return [f"cold-{number}" for number in range(COLD)]


def _measure(server: ServerProcess, times: Times) -> Outcome:
    target = parse_target(server.url)
    with Generator(build_requests(target, make_texts(), texts_per_request=1)) as generator:
        knee_rps = _knee(target, generator, times)
        quiet: list[Cell] = []
        loud: list[Cell] = []
        with _loads(server.url) as loads:
            before = loads.count
            for number in range(times.windows):
                job = Job(target, 1.0, times.window_s, 30.0, rate_rps=SHARE_OF_KNEE * knee_rps, seed=number)
                quiet.append(_cell(job, generator.run(job), "quiet", None))
                with loads.without_pause():
                    loud.append(_cell(job, generator.run(job), "loud", None))
            errors = loads.errors + sum(sum(cell.errors.values()) for cell in (*quiet, *loud))
            return Outcome(knee_rps, quiet, loud, loads.count - before, errors)


def _knee(target: Target, generator: Generator, times: Times) -> float:
    """Requests a second at which p99 is still within a second."""
    plan = Plan(
        target, warm_s=times.knee_s / 2, seconds=times.knee_s, concurrencies=(8,), max_rates=times.knee_rates,
        tolerance=0.15,
    )  # fmt: skip
    session = Session(plan=plan, run=generator.run, summarise=_cell, watch=None, observer=_Silent())
    knee = session.measure()[0]
    # A window too short for a verdict: what eight clients got is near it.
    return knee.max_rps or session.cells[0].throughput_rps


def _cell(job: Job, trace: Trace, purpose: str, usage: Usage | None) -> Cell:
    return summarise(job, trace, purpose=purpose, texts_per_request=1, usage=usage)


class _Loads:
    """One caller who asks for cold models in turn: with memory for one of them, each request is a load."""

    def __init__(self, url: str) -> None:
        self._http = store_answers.client(url)
        self._names: Iterator[str] = itertools.cycle(_cold_names())
        self.count = self.errors = 0

    def step(self) -> None:
        """One load."""
        answer = self._http.post("/invocations", json=store_answers.body(next(self._names)))
        self.count += 1
        self.errors += answer.status_code != 200

    @contextmanager
    def without_pause(self) -> Iterator[None]:
        """One load after the other while the block runs."""
        is_over = threading.Event()

        def work() -> None:
            while not is_over.is_set():
                self.step()

        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield
        finally:
            is_over.set()
            worker.join()

    def close(self) -> None:
        """Ends its connection."""
        self._http.close()


@contextmanager
def _loads(url: str) -> Iterator[_Loads]:
    made = _Loads(url)
    try:
        yield made
    finally:
        made.close()


def main(
    models: Annotated[Path, typer.Option(help="folder with aspect/ and sentiment/")],
    windows: Annotated[int, typer.Option(help="windows of each kind")] = 5,
    seconds: Annotated[float, typer.Option(help="length of a window")] = 20.0,
) -> None:
    """A hot model beside cold ones."""
    with tempfile.TemporaryDirectory() as work:
        outcome = drill(pack_base(models, Path(work) / "base"), Path(work), Times(seconds, windows))
    table = Table("window", "quiet p50", "p99 ms", "loud p50", "p99 ms", title="a hot model beside cold loads")
    for number, (quiet, loud) in enumerate(zip(outcome.quiet, outcome.loud, strict=True), start=1):
        row = (quiet.p50_ms, quiet.p99_ms, loud.p50_ms, loud.p99_ms)
        table.add_row(str(number), *(f"{value or math.inf:.1f}" for value in row))
    console = Console(width=120)
    console.print(table)
    console.print(
        f"knee {outcome.knee_rps:.1f} requests/s, load {SHARE_OF_KNEE:.0%} of it; {outcome.cold_loads} cold loads, "
        f"{outcome.errors} errors"
    )
    console.print(f"p99 loud / quiet (medians): {outcome.ratio:.2f}, at most {MOST}, aim {AIM}")
    sys.exit(not (outcome.ratio <= MOST and outcome.errors == 0))


if __name__ == "__main__":
    typer.run(main)
