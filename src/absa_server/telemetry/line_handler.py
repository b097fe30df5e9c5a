"""Log lines to a stream: at once, but for lines of requests, which are many and go out some at a time.

Each write is a system call around which the event loop gives up Python's lock and has to wait for it again.
"""

import logging
import threading
from contextlib import suppress
from typing import TextIO, cast

REQUESTS = "absa_server.requests"
# How long a request's line may wait. Higher: fewer writes; a process that is killed takes more lines with it.
DELAY_S = 0.05


class LineHandler(logging.StreamHandler[TextIO]):
    """Keeps the order of all lines. A thread, begun with the first line that waits, writes those that nobody else does.

    `close` writes what is left and lets the thread end.
    """

    def __init__(self, stream: TextIO | None = None, *, delay_s: float = DELAY_S) -> None:
        super().__init__(stream)
        self._delay_s = delay_s
        self._lines: list[str] = []
        self._is_due = threading.Event()
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`; called under the handler's lock."""
        try:
            self._lines.append(self.format(record) + self.terminator)
            if record.name != REQUESTS or record.levelno > logging.INFO or self._is_closed.is_set():
                self.flush()
            elif not self._is_due.is_set():
                self._is_due.set()
                self._start()
        except Exception:  # as logging's own handlers: a line that cannot be written fails no request
            self.handleError(record)

    def flush(self) -> None:
        """Writes all lines that wait."""
        with self._own_lock():
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("".join(lines))
            super().flush()

    def _own_lock(self) -> threading.RLock:
        if self.lock is None:  # for the type checker: `logging.Handler` always makes one
            self.createLock()
        return cast("threading.RLock", self.lock)

    def close(self) -> None:
        """See `logging.Handler`. `logging.shutdown` calls it under the lock that the thread may wait for: no join."""
        self._is_closed.set()
        self._is_due.set()
        with suppress(OSError, ValueError):  # nobody reads any more
            self.flush()
        super().close()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._is_closed.is_set():
            self._is_due.wait()
            self._is_closed.wait(self._delay_s)
            self._is_due.clear()  # before the flush: a line that comes from here on asks again
            with suppress(OSError, ValueError):  # nobody reads any more
                self.flush()
