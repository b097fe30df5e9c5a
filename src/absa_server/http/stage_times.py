"""How long each stage of a request took, and which models answered it, in one header that browsers and tools read.

`Server-Timing` (W3C).
"""

import time
from collections.abc import Callable, Mapping
from urllib.parse import quote


class StageTimes:
    """A stopwatch with a lap for each stage. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._started = self._last = clock()
        self._laps: list[tuple[str, float]] = []
        self._models: Mapping[str, str] = {}

    def end(self, stage: str) -> None:
        """The stage that began with the last one's end is over."""
        now = self._clock()
        self._laps.append((stage, now - self._last))
        self._last = now

    def answered_by(self, models: Mapping[str, str], *, is_loaded: bool) -> None:
        """The models that answer, role to `name@version`; `is_loaded`: they may have had to be loaded for it."""
        if is_loaded:
            self.end("load")
        self._models = models

    @property
    def total_s(self) -> float:
        """Seconds from the beginning to the last stage's end."""
        return self._last - self._started

    @property
    def elapsed_s(self) -> float:
        """Seconds from the beginning until now."""
        return self._clock() - self._started

    def header(self) -> str:
        """`read;dur=0.1, parse;dur=0.2, model;desc="name@version"`: milliseconds; names escaped as in a URL."""
        laps = [f"{stage};dur={seconds * 1000:.1f}" for stage, seconds in self._laps]
        return ", ".join(laps + [f'{role};desc="{quote(name, safe="/@:.-_+")}"' for role, name in self._models.items()])
