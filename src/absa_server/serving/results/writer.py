"""Puts answers into the spool from an event loop: one thread writes whatever waits, in one piece.

An answer that waits for the disk costs its request a hop to this thread and back; a hundred of them share the hop.
"""

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from absa_server.errors import ResultsUnavailable
from absa_server.serving.results.spool import Spool, SpoolFull

logger = logging.getLogger(__name__)

_RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class _Waiting:
    lines: Sequence[bytes]
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[bool]"


class SpoolWriter:
    """Lives on one event loop. `is_required`: an answer that cannot be kept must not be sent."""

    def __init__(self, spool: Spool, *, is_required: bool) -> None:
        self.dropped = 0
        self._spool = spool
        self._is_required = is_required
        self._is_failing = False
        self._is_closed = False
        self._waiting: list[_Waiting] = []
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="results-spool", daemon=True)
        self._thread.start()

    async def keep(self, lines: Sequence[bytes]) -> None:
        """Returns when the lines are in the spool, or were dropped and counted because they do not fit.

        Raises `ResultsUnavailable` instead of dropping where results are required.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(lines, loop, loop.create_future())
        with self._condition:
            is_closed = self._is_closed
            if not is_closed:
                self._waiting.append(waiting)
                self._condition.notify()
        is_kept = False if is_closed else await waiting.done
        if is_kept:
            return
        self.dropped += len(lines)
        if self._is_required:
            raise ResultsUnavailable(
                "the spool of results is full or cannot be written (ABSA_RESULTS_SPOOL_MB), and ABSA_RESULTS_REQUIRED "
                "is set; try again later",
                retry_after_s=_RETRY_AFTER_S,
            )

    def close(self) -> None:
        """Writes what waits, and ends the thread."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._waiting or self._is_closed)
                group, self._waiting = self._waiting, []
            if not group:
                return
            kept = [self._append(waiting.lines) for waiting in group]
            for loop in {waiting.loop for waiting in group}:
                answers = [(one.done, is_kept) for one, is_kept in zip(group, kept, strict=True) if one.loop is loop]
                loop.call_soon_threadsafe(_settle, answers)

    def _append(self, lines: Sequence[bytes]) -> bool:
        try:
            self._spool.append(lines)
        except (SpoolFull, OSError) as error:
            if not self._is_failing:  # once, not a line for each answer
                logger.error("results_not_kept", extra={"reason": str(error) or "the spool is full"})  # noqa: TRY400
            self._is_failing = True
            return False
        self._is_failing = False
        return True


def _settle(answers: Sequence[tuple["asyncio.Future[bool]", bool]]) -> None:
    for done, is_kept in answers:
        if not done.done():  # its request was cancelled meanwhile
            done.set_result(is_kept)
