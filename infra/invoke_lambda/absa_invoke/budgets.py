"""How long a call may take, from the outside in: API Gateway 29 s, the function 28 s, all tries and pauses 26 s."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_TRIES_S = 26.0
# Left of the function's own time for reading the event, writing the answer and the log.
RESERVE_S = 2.0
CONNECT_S = 1.0
# botocore's timeouts belong to a client, so there is a client for each of these.
READ_TIMEOUTS_S = (24.0, 12.0, 6.0, 3.0, 1.0)


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """Ends at `deadline_s` of `clock`."""

    deadline_s: float
    clock: Callable[[], float] = field(default=time.monotonic)

    @property
    def left_s(self) -> float:
        """Seconds; below 0 when the time is over."""
        return self.deadline_s - self.clock()

    def read_timeout_s(self, after_s: float = 0.0) -> float | None:
        """The longest read timeout of a try that begins `after_s` from now; None when there is no time for any."""
        left_s = self.left_s - after_s - CONNECT_S
        return next((timeout_s for timeout_s in READ_TIMEOUTS_S if timeout_s <= left_s), None)


def budget_of(remaining_ms: int, clock: Callable[[], float] = time.monotonic) -> TimeBudget:
    """What the function's remaining time leaves for the endpoint."""
    return TimeBudget(clock() + min(MAX_TRIES_S, remaining_ms / 1000 - RESERVE_S), clock)
