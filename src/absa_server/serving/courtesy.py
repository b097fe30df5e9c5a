"""A load beside traffic: it takes its steps one by one, each in a moment in which no request is worked on.

Priorities cannot do that. What a load computes, it computes in threads of the engine that infer later, and a thread's
priority is never raised again without a privilege that containers lack.
"""

import time
from collections.abc import Callable

# How long a step waits for such a moment. Higher: loads give way to busier models; lower: they are sooner done when all
# cores are taken, where no moment comes: a load has about seven steps.
MOST_WAIT_S = 0.25
_POLL_S = 0.003


class Courtesy:
    """Called before each step of a load, in the thread that loads. `is_busy` tells whether requests are worked on."""

    def __init__(
        self,
        is_busy: Callable[[], bool],
        *,
        most_wait_s: float = MOST_WAIT_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._is_busy = is_busy
        self._most_wait_s = most_wait_s
        self._clock = clock
        self._sleep = sleep

    def __call__(self) -> None:
        """Returns when no request is worked on, after `most_wait_s` at the latest."""
        end_s = self._clock() + self._most_wait_s
        while self._is_busy() and self._clock() < end_s:
            self._sleep(_POLL_S)
