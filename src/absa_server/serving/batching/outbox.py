"""From worker threads to the event loop: many calls, few wake-ups."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress


class Outbox:
    """Calls functions on `loop`, in order. Waking a loop costs a system call: calls that wait share one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._calls: deque[Callable[[], object]] = deque()
        self._is_woken = False

    def send(self, call: Callable[[], object]) -> None:
        """Thread-safe; nothing happens when the loop has been closed, where nobody waits any more."""
        self._calls.append(call)
        if not self._is_woken:
            self._is_woken = True
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._is_woken = False  # before the calls: one that is added from here on wakes the loop again
        while self._calls:
            self._calls.popleft()()
