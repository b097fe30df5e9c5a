"""The knee: the highest rate that still meets an objective, found by trying rates. Knows not how one is tried."""

import math
from collections.abc import Callable
from dataclasses import dataclass

GROWTH = 1.5
STEP_DOWN = 0.95


@dataclass(frozen=True, slots=True)
class Bracket:
    """`passed_rps` met the objective (None: no rate did), `failed_rps` did not (None: none was high enough)."""

    passed_rps: float | None
    failed_rps: float | None

    @property
    def next_rps(self) -> float:
        """The rate that tells most: outside of what is known, or the geometric middle."""
        if self.passed_rps is None:
            return (self.failed_rps or 1.0) / 2
        if self.failed_rps is None:
            return self.passed_rps * GROWTH
        return math.sqrt(self.passed_rps * self.failed_rps)

    def is_within(self, tolerance: float) -> bool:
        """Whether both ends are known and at most `tolerance` (a share) apart."""
        if self.passed_rps is None or self.failed_rps is None:
            return False
        return self.failed_rps <= self.passed_rps * (1 + tolerance)


def find_bracket(
    is_met: Callable[[float], bool], *, start_rps: float, min_rps: float, tolerance: float = 0.05, max_rates: int = 12
) -> Bracket:
    """The bracket after at most `max_rates` trials, each strictly inside what is still unknown, none below `min_rps`.

    A wrong answer of a noisy trial moves the result, but never past a rate that was itself tried.
    """
    bracket = Bracket(None, None)
    rate = start_rps
    for _ in range(max_rates):
        bracket = Bracket(rate, bracket.failed_rps) if is_met(rate) else Bracket(bracket.passed_rps, rate)
        rate = bracket.next_rps
        if bracket.is_within(tolerance) or rate < min_rps:
            break
    return bracket


def confirm(is_met_for_long: Callable[[float], bool], rate_rps: float, *, max_trials: int = 3) -> float | None:
    """`rate_rps`, or the first of a few slightly lower rates that meets the objective for long; None when none does.

    A short trial forgives a server that falls slowly behind: its queue had no time to grow.
    """
    for trial in range(max_trials):
        candidate = rate_rps * STEP_DOWN**trial
        if is_met_for_long(candidate):
            return candidate
    return None
