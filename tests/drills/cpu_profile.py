"""Where a process spends its CPU time: each thread's frames, looked at some hundred times a second.

A look counts for as much CPU time as its thread used since the look before, so waiting costs nothing. Knows no server.
"""

import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import FrameType, TracebackType

EVERY_S = 0.003
# Code that is told by its own name; what such code calls in any other module counts as its own.
NAMED = (
    "absa_server",
    "fastapi",
    "starlette",
    "uvicorn",
    "logging",
    "pythonjsonlogger",
    "prometheus_client",
    "asyncio",
)


@dataclass(slots=True)
class Profile:
    """CPU seconds by (kind of thread, module) and by (kind of thread, function of such a module)."""

    modules: Counter[tuple[str, str]] = field(default_factory=Counter)
    functions: Counter[tuple[str, str]] = field(default_factory=Counter)


class CpuProfile:
    """Looks while the block runs; `profile` holds what it saw of all threads but its own."""

    def __init__(self) -> None:
        self.profile = Profile()
        self._seen_s: dict[int, float] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cpu-profile", daemon=True)

    def __enter__(self) -> "CpuProfile":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(EVERY_S):
            frames = sys._current_frames()
            for thread in threading.enumerate():
                if thread is not self._thread and thread.ident in frames:
                    self._look(thread, frames[thread.ident])

    def _look(self, thread: threading.Thread, frame: FrameType) -> None:
        ident = thread.ident or 0
        try:
            now_s = time.clock_gettime(time.pthread_getcpuclockid(ident))
        except OSError:  # it has just ended
            return
        used_s, self._seen_s[ident] = now_s - self._seen_s.get(ident, now_s), now_s
        module, function = named_frame(frame)
        kind = thread.name.rstrip("0123456789_-")
        self.profile.modules[kind, module] += used_s  # type: ignore[assignment]  # a counter of seconds
        self.profile.functions[kind, f"{module}: {function}"] += used_s  # type: ignore[assignment]


def named_frame(frame: FrameType) -> tuple[str, str]:
    """Module and function of the innermost frame whose module is named above; of the innermost one where none is."""
    found: FrameType | None = frame
    while found is not None:
        module = str(found.f_globals.get("__name__", "?"))
        if module.split(".", maxsplit=1)[0] in NAMED:
            return module, found.f_code.co_qualname
        found = found.f_back
    return str(frame.f_globals.get("__name__", "?")), frame.f_code.co_qualname
