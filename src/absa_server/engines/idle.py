"""Engines that have not worked for a while give back what they keep between calls. Knows no engine library.

An engine keeps the buffers of its largest batch, a stream each: for a small model several times its weights. Of many
models in memory few work at a time, so the buffers of the others are given back.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from absa_server.engines.memory import Pace

# Seconds without work after which an engine rests. Lower: buffers are made again more often, which costs milliseconds.
_IDLE_S = 1.0
# Engines that worked last and never rest: both stages of two models. Where one model is served nobody needs the room,
# and a rare request should not find its buffers gone.
_KEPT = 4
# Seconds between two engines that rest. It happens between calls of others, and takes each about two milliseconds.
_PAUSE_S = 0.1


class Resting(Protocol):
    """Something that works now and then."""

    def rest(self) -> None:
        """Give back what is kept for the next call; nothing, while one runs."""


class IdleEngines:
    """Thread-safe. Nothing rests while nothing works: then nobody needs the memory either."""

    def __init__(
        self,
        *,
        kept: int = _KEPT,
        idle_s: float = _IDLE_S,
        pause_s: float = _PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept = kept
        self._idle_s = idle_s
        self._clock = clock
        self._lock = threading.Lock()
        self._used_s: OrderedDict[Resting, float] = OrderedDict()  # the one used longest ago first
        self._rests = Pace(pause_s, clock)

    def used(self, engine: Resting) -> None:
        """`engine` has just worked. Another one, the idlest, may be asked to rest."""
        now_s = self._clock()
        with self._lock:
            self._used_s[engine] = now_s
            self._used_s.move_to_end(engine)
            idlest = self._take_idle(now_s)
        if idlest is not None:
            idlest.rest()

    def forget(self, engine: Resting) -> None:
        """`engine` is closed, or has never worked."""
        with self._lock:
            self._used_s.pop(engine, None)

    def rest_all(self) -> None:
        """All rest that do not work now."""
        with self._lock:
            idle = list(self._used_s)
            self._used_s.clear()
        for engine in idle:
            engine.rest()

    def _take_idle(self, now_s: float) -> Resting | None:
        if len(self._used_s) <= self._kept:
            return None
        idlest, used_s = next(iter(self._used_s.items()))
        if now_s - used_s < self._idle_s or not self._rests.is_due():
            return None
        del self._used_s[idlest]
        return idlest
