"""One benchmark from warm-up to knee: which cells are measured, in which order, and when it stops.

Knows a measuring function, not how load is made; every loop in here is bounded by a count and by a clock.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from absa_server.benchmark.cells import Cell
from absa_server.benchmark.knee import Bracket, confirm, find_bracket
from absa_server.benchmark.load import Job, Trace
from absa_server.benchmark.process_tree import Memory, Usage
from absa_server.benchmark.texts import Target

# The search begins at this share of what the server gave under the highest closed-loop concurrency.
START_SHARE = 0.7
LONG_FACTOR = 3
# Fewer requests than this in a window are no measurement of a p99.
MIN_REQUESTS = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of one benchmark. Times in seconds; `slos_ms` are limits of p99, each with a knee of its own.

    `max_error_share` is the share of requests that may fail before a rate counts as too high.
    """

    target: Target
    texts_per_request: int = 1
    warm_s: float = 5.0
    seconds: float = 10.0
    rounds: int = 1
    concurrencies: tuple[int, ...] = (1, 8, 32)
    rates_rps: tuple[float, ...] = ()
    slos_ms: tuple[float, ...] = (1000.0,)
    max_error_share: float = 0.001
    tolerance: float = 0.05
    max_rates: int = 10
    max_total_s: float = 900.0
    seed: int = 1

    @property
    def lead_in_s(self) -> float:
        """Load before each window: enough for queues to reach their level."""
        return min(2.0, self.seconds / 5)


class Watch(Protocol):
    """What looks at the server's processes meanwhile."""

    def begin(self) -> None:
        """What follows counts from now."""

    def usage(self) -> Usage:
        """CPU and wall seconds since `begin`."""

    def memory(self) -> Memory:
        """Memory until now."""


@dataclass(frozen=True, slots=True)
class Knee:
    """The highest rate whose p99 met `slo_ms`. None: no rate tried did; then the cells tell why.

    `is_confirmed`: the rate also held for a window three times as long. `is_bounded`: a higher rate was seen to fail;
    without it the true knee may lie higher. `is_generator_limited`: a failing rate may have been the client's fault.
    """

    slo_ms: float
    max_rps: float | None
    mean_ms: float | None
    p99_ms: float | None
    is_confirmed: bool
    is_bounded: bool
    is_generator_limited: bool


class Observer(Protocol):
    """Who is told how the benchmark goes on."""

    def begin(self, what: str, expected_s: float) -> None:
        """A cell, or the warm-up, begins."""

    def done(self, cell: Cell) -> None:
        """A cell was measured."""


Summarise = Callable[[Job, Trace, str, Usage | None], Cell]


@dataclass(slots=True)
class Session:
    """Measures by `run`; `cells` holds every cell in the order it was measured."""

    plan: Plan
    run: Callable[[Job], Trace]
    summarise: Summarise
    watch: Watch | None
    observer: Observer
    cells: list[Cell] = field(default_factory=list)
    _end_s: float = 0.0

    def measure(self) -> list[Knee]:
        """Warm up, then the closed loop, then given rates, then one knee for each limit of p99."""
        self._end_s = time.monotonic() + self.plan.max_total_s
        self._warm_up()
        for _ in range(self.plan.rounds):
            for concurrency in self.plan.concurrencies:
                self._cell("closed loop", self.plan.seconds, concurrency=concurrency)
        for _ in range(self.plan.rounds):
            for rate in self.plan.rates_rps:
                self._cell("given rate", self.plan.seconds, rate_rps=rate)
        return [self._knee(slo_ms) for slo_ms in self.plan.slos_ms]

    def _warm_up(self) -> None:
        concurrency = max(self.plan.concurrencies, default=8)
        self.observer.begin("warm-up", self.plan.warm_s)
        self.run(self._job(self.plan.warm_s, lead_in_s=0.0, concurrency=concurrency))

    def _knee(self, slo_ms: float) -> Knee:
        bracket = find_bracket(
            lambda rate: self._is_met(rate, slo_ms, seconds=self.plan.seconds, purpose="search"),
            start_rps=self._start_rps(),
            min_rps=MIN_REQUESTS / self.plan.seconds,
            tolerance=self.plan.tolerance,
            max_rates=self.plan.max_rates,
        )
        confirmed = None
        if bracket.passed_rps is not None and not self._is_late():
            long_s = LONG_FACTOR * self.plan.seconds
            confirmed = confirm(
                lambda rate: self._is_met(rate, slo_ms, seconds=long_s, purpose="confirmation"), bracket.passed_rps
            )
        return self._describe(slo_ms, bracket, confirmed)

    def _describe(self, slo_ms: float, bracket: Bracket, confirmed: float | None) -> Knee:
        best = confirmed or bracket.passed_rps
        at_best = [cell for cell in self.cells if cell.offered_rps == best and best is not None]
        failed = [cell for cell in self.cells if cell.offered_rps == bracket.failed_rps and cell.offered_rps]
        longest = max((cell.seconds for cell in at_best), default=0.0)
        counted = [cell for cell in at_best if cell.seconds == longest]
        return Knee(
            slo_ms=slo_ms,
            max_rps=best,
            mean_ms=_median([cell.mean_ms for cell in counted]),
            p99_ms=_median([cell.p99_ms for cell in counted]),
            is_confirmed=confirmed is not None,
            is_bounded=bracket.failed_rps is not None,
            is_generator_limited=any(cell.is_generator_limited for cell in failed),
        )

    def _start_rps(self) -> float:
        known = [cell.throughput_rps for cell in self.cells if cell.concurrency]
        return max(MIN_REQUESTS / self.plan.seconds, START_SHARE * max(known, default=0.0))

    def _is_met(self, rate_rps: float, slo_ms: float, *, seconds: float, purpose: str) -> bool:
        """Whether the median round's p99 is within the limit, and errors are rare over all rounds.

        Out of time counts as not met: the search then ends by itself within its bound of rates.
        """
        if self._is_late():
            return False
        tried = [self._cell(purpose, seconds, rate_rps=rate_rps) for _ in range(self.plan.rounds)]
        p99_ms = _median([cell.p99_ms for cell in tried])
        requests = sum(cell.requests for cell in tried)
        errors = sum(sum(cell.errors.values()) for cell in tried)
        is_whole = not any(cell.is_cut_short for cell in tried)
        is_answered = requests > 0 and errors <= self.plan.max_error_share * requests
        return p99_ms is not None and p99_ms <= slo_ms and is_whole and is_answered

    def _is_late(self) -> bool:
        return time.monotonic() > self._end_s

    def _cell(self, purpose: str, seconds: float, **load: float) -> Cell:
        job = self._job(seconds, lead_in_s=self.plan.lead_in_s, **load)
        what = f"{job.rate_rps:.1f} requests/s" if job.rate_rps else f"concurrency {job.concurrency}"
        self.observer.begin(f"{purpose}, {what}", job.lead_in_s + seconds)
        if self.watch:
            self.watch.begin()
        trace = self.run(job)
        cell = self.summarise(job, trace, purpose, self.watch.usage() if self.watch else None)
        self.cells.append(cell)
        self.observer.done(cell)
        return cell

    def _job(
        self, seconds: float, *, lead_in_s: float, rate_rps: float | None = None, concurrency: float | None = None
    ) -> Job:
        return Job(
            target=self.plan.target,
            lead_in_s=lead_in_s,
            seconds=seconds,
            drain_s=max(10.0, 2 * max(self.plan.slos_ms, default=0.0) / 1000),
            rate_rps=rate_rps,
            concurrency=None if concurrency is None else int(concurrency),
            seed=self.plan.seed + len(self.cells),
        )


def _median(values: Sequence[float | None]) -> float | None:
    """The median; nothing measured in one of the rounds counts as the worst."""
    known = [float("inf") if value is None else value for value in values]
    middle = statistics.median_high(known) if known else float("inf")
    return None if middle == float("inf") else middle
