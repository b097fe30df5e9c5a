"""How long each stage of a request took, told in one header: `Server-Timing` (W3C), which browsers and tools read."""

import time
from collections.abc import Callable


class StageTimes:
    """A stopwatch with a lap for each stage. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._started = self._last = clock()
        self._laps: list[tuple[str, float]] = []

    def end(self, stage: str) -> None:
        """The stage that began with the last one's end is over."""
        now = self._clock()
        self._laps.append((stage, now - self._last))
        self._last = now

    @property
    def total_s(self) -> float:
        """Seconds from the beginning to the last stage's end."""
        return self._last - self._started

    @property
    def elapsed_s(self) -> float:
        """Seconds from the beginning until now."""
        return self._clock() - self._started

    def header(self) -> str:
        """`read;dur=0.1, parse;dur=0.2`, in milliseconds."""
        return ", ".join(f"{stage};dur={seconds * 1000:.1f}" for stage, seconds in self._laps)
