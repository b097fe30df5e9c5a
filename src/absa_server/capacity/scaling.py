"""Target tracking as Application Auto Scaling documents it: what one policy wants, from the samples of its metric.

Knows no queue and no clock. Two policies together: the larger wish wins when scaling out, and scaling in needs the
agreement of both.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

LOW_SHARE = 0.9  # the scale-in alarm fires below this share of the target


@dataclass(frozen=True, slots=True)
class Policy:
    """One target-tracking policy. `period_s` is that of its metric, which arrives `delay_s` after its period ended.

    Scale-out wants `high_periods` samples in a row above the target, scale-in `low_periods` below 0.9 of it.
    """

    metric: str
    target: float
    period_s: float
    delay_s: float
    high_periods: int = 3
    low_periods: int = 15


@dataclass(slots=True)
class Tracker:
    """A policy and its samples so far, oldest first; each is a metric's value per instance."""

    policy: Policy
    samples: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        """A sample has arrived."""
        self.samples = [*self.samples, value][-max(self.policy.high_periods, self.policy.low_periods) :]

    def wish(self, ready: int) -> int:
        """Instances this policy wants, now that `ready` are in service; `ready` itself while no alarm is on."""
        if self._are_all(self.policy.high_periods, lambda value: value > self.policy.target) or self._are_all(
            self.policy.low_periods, lambda value: value < LOW_SHARE * self.policy.target
        ):
            return max(1, math.ceil(ready * self.samples[-1] / self.policy.target))
        return ready

    def _are_all(self, periods: int, is_so: Callable[[float], bool]) -> bool:
        latest = self.samples[-periods:]
        return len(latest) == periods and all(is_so(value) for value in latest)


def agree(wishes: Sequence[int], *, ready: int) -> int:
    """What several policies come to: the largest wish, so that any may scale out and all must agree to scale in."""
    return max(wishes, default=ready)
