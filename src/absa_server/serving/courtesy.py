"""A load beside traffic: it takes its steps one by one, each in a moment in which no request is worked on.

Priorities cannot do that. What a load computes, it computes in threads of the engine that infer later, and a thread's
priority is never raised again without a privilege that containers lack.
"""

import time
from collections.abc import Callable

# How long a step waits for such a moment. Higher: loads give way to busier models; lower: they are sooner done when all
# cores are taken, where no moment comes. A load has about six steps.
MOST_WAIT_S = 0.25
# The same of a network's end, which is shorter, and of which one load may need many: its victims all leave before it.
MOST_WAIT_TO_CLOSE_S = 0.05
_POLL_S = 0.003


class Courtesy:
    """Asked before each step of a load, in the thread that loads. `is_busy` tells whether requests are worked on."""

    def __init__(
        self,
        is_busy: Callable[[], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._is_busy = is_busy
        self._clock = clock
        self._sleep = sleep

    def before_step(self) -> None:
        """Returns when no request is worked on, after `MOST_WAIT_S` at the latest."""
        self._wait(MOST_WAIT_S)

    def before_closing(self) -> None:
        """Returns when no request is worked on, after `MOST_WAIT_TO_CLOSE_S` at the latest."""
        self._wait(MOST_WAIT_TO_CLOSE_S)

    def _wait(self, most_s: float) -> None:
        end_s = self._clock() + most_s
        while self._is_busy() and self._clock() < end_s:
            self._sleep(_POLL_S)


# Where nobody else is served nobody waits.
AT_ONCE = Courtesy(lambda: False)
