"""One deadline for an operation of many steps, which another thread may bring forward. Knows nothing of the steps."""

import math
import threading
import time
from collections.abc import Callable

from model_loader.errors import DeadlineExceeded


class Deadline:
    """Ends `seconds` from now. Safe to share among threads.

    `math.inf` never ends by itself; `cancel` ends any of them at once.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begin = clock()
        self._seconds = seconds
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Let whoever works or waits under this deadline stop at its next step."""
        self._cancelled.set()

    @property
    def remaining_s(self) -> float:
        """Seconds left, never below 0."""
        if self._cancelled.is_set():
            return 0.0
        return max(0.0, self._begin + self._seconds - self._clock())

    def check(self, doing: str) -> None:
        """Raises `DeadlineExceeded` when no time is left; `doing` says what it was needed for."""
        if self.remaining_s > 0:
            return
        if self._cancelled.is_set():
            raise DeadlineExceeded(f"{doing}: cancelled after {self._clock() - self._begin:.1f} s")
        raise DeadlineExceeded(f"{doing}: not done within {self._seconds:g} s; ask again later, or allow more time")

    def wait(self, seconds: float) -> None:
        """Sleep `seconds`, or until the deadline or its cancellation if that is sooner."""
        left = min(seconds, self.remaining_s)
        self._cancelled.wait(None if math.isinf(left) else left)
