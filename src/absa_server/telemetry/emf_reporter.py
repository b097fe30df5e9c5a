"""Writes a line for each model and interval, from the registry that `/metrics` shows. Serving never waits for it.

A thread of its own: a reader of stdout that stands still stops this thread, and nothing else.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry

from absa_server.telemetry.emf import EmfFormat
from absa_server.telemetry.emf_metrics import METRICS
from absa_server.telemetry.emf_readings import Readings, read, since

logger = logging.getLogger(__name__)

# Seconds that a stop waits for the last lines.
CLOSE_S = 2.0
_STDOUT = 1


def write_to_stdout(line: bytes) -> None:
    """Past Python's buffers, in which a line that failed would wait to be written a second time. Raises OSError.

    One write of one line: up to 4,096 bytes no other writer's line comes between (pipe(7)).
    """
    while line:
        line = line[os.write(_STDOUT, line) :]


class EmfReporter:
    """`start` it once the server runs, `close` it when all else is closed: the last lines hold what came last."""

    def __init__(
        self,
        registry: CollectorRegistry,
        emf: EmfFormat,
        *,
        interval_s: float,
        write: Callable[[bytes], None] = write_to_stdout,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._emf = emf
        self._interval_s = interval_s
        self._write = write
        self._clock = clock
        self._before: Readings = {}
        self._is_failing = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="emf", daemon=True)

    def start(self) -> None:
        """Lines come from now on, each interval."""
        self._thread.start()

    def close(self, limit_s: float = CLOSE_S) -> None:
        """Writes the last lines and ends the thread; one that stdout holds up is left behind after `limit_s`."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(limit_s)

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._report()
        self._report()

    def _report(self) -> None:
        try:
            self._write_new()
        except Exception as error:  # metrics are no reason to end; what was not written is in the next lines
            if not self._is_failing:
                logger.warning("emf_not_written", extra={"reason": f"{type(error).__name__}: {error}"})
            self._is_failing = True
        else:
            self._is_failing = False

    def _write_new(self) -> None:
        now = read(self._registry, METRICS)
        timestamp_ms = int(self._clock() * 1000)
        lines = self._emf.lines(since(now, self._before), timestamp_ms=timestamp_ms)
        for model, line in lines.items():
            self._write(line)
            # Line by line: one that was written is not written again when the next one fails.
            self._before = {**self._before, model: now[model]}
