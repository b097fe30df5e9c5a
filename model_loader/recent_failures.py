"""Remembers for a short while why something failed, so that a crowd that asks again is told at once."""

from collections import OrderedDict
from collections.abc import Callable


class RecentFailures:
    """Not thread-safe. At most `max_keys` failures by key, each for `memory_s` seconds of `clock`."""

    def __init__(self, memory_s: float, clock: Callable[[], float], *, max_keys: int = 1024) -> None:
        self._memory_s = memory_s
        self._clock = clock
        self._max_keys = max_keys
        self._failures: OrderedDict[str, tuple[float, Exception]] = OrderedDict()

    def get(self, key: str) -> Exception | None:
        """Why `key` failed, while that is recent."""
        until_s, error = self._failures.get(key, (0.0, None))
        if error is not None and self._clock() >= until_s:
            del self._failures[key]
            return None
        return error

    def add(self, key: str, error: Exception) -> None:
        """Remembers `error` without its traceback, whose frames would keep what they hold alive."""
        self._failures[key] = (self._clock() + self._memory_s, error.with_traceback(None))
        self._failures.move_to_end(key)
        while len(self._failures) > self._max_keys:
            self._failures.popitem(last=False)

    def forget(self, key: str) -> None:
        """Lets `key` be tried again at once."""
        self._failures.pop(key, None)
