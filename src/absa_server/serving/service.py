"""Answers requests: a permit before any work, a thread to do it in, and a time by which it must be done.

Knows no HTTP. The analysis itself is the pipeline's.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from absa_server.absa.pipeline import Pipeline
from absa_server.errors import DeadlineExceeded, InvalidRequest, Overloaded
from absa_server.serving.model_slot import ModelSlot
from absa_server.types import Analysis, Record

_RETRY_AFTER_S = 1
# Unix niceness: each step is a tenth less of a contended core. Higher: a quicker `/ping`; 19 would starve inference.
INFERENCE_NICE = 5


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """See the settings of the same names."""

    threads: int
    max_pending_requests: int
    request_timeout_s: float


class Service:
    """Lives on one event loop; `predict` hands the work to threads. Close it once, after the last request."""

    def __init__(self, slot: ModelSlot, limits: ServiceLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self.slot = slot
        self.pending_requests = 0
        self._limits = limits
        self._clock = clock
        self._executor = ThreadPoolExecutor(
            limits.threads, thread_name_prefix="inference", initializer=_yield_to_the_event_loop
        )

    @contextmanager
    def permit(self) -> Iterator[None]:
        """One of the places in which a request may wait or be worked on. Raises `Overloaded` when all are taken."""
        if self.pending_requests >= self._limits.max_pending_requests:
            raise Overloaded(
                f"{self.pending_requests} requests are already waiting, the limit is ABSA_MAX_PENDING_REQUESTS; "
                "send fewer at a time, or try again later",
                retry_after_s=_RETRY_AFTER_S,
            )
        self.pending_requests += 1
        try:
            yield
        finally:
            self.pending_requests -= 1

    async def predict(self, pipeline: Pipeline, records: Sequence[Record]) -> list[Analysis | InvalidRequest]:
        """One result a record, in order. A caller that is cancelled or too late leaves at most one batch behind.

        Raises `DeadlineExceeded` and `EngineFailed`.
        """
        stop = Stop(self._clock() + self._limits.request_timeout_s, self._clock)
        work = asyncio.get_running_loop().run_in_executor(self._executor, pipeline.analyze, records, stop.check)
        try:
            async with self.deadline():
                return await work
        except Stopped:
            raise self._too_late() from None
        finally:
            stop.set()

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Cancels what is awaited inside when a request's time is over. Raises `DeadlineExceeded` then."""
        try:
            async with asyncio.timeout(self._limits.request_timeout_s):
                yield
        except TimeoutError:
            raise self._too_late() from None

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"no answer within {self._limits.request_timeout_s:g} s (SAGEMAKER_MODEL_SERVER_TIMEOUT); "
            "send fewer or shorter texts a request",
            retry_after_s=_RETRY_AFTER_S,
        )

    def close(self) -> None:
        """Waits for work in flight, then frees the threads and the model."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self.slot.close()


def _yield_to_the_event_loop() -> None:
    """Lowers the priority of this thread, and of those an engine starts from it: `/ping` is answered beside full cores.

    Throughput is the same: whoever computes gets all that the event loop leaves.
    """
    if sys.platform == "linux":  # the one system where a priority belongs to a thread, not to its process
        os.setpriority(os.PRIO_PROCESS, 0, min(19, os.getpriority(os.PRIO_PROCESS, 0) + INFERENCE_NICE))


class Stopped(Exception):
    """Raised inside the pipeline, between two batches, to end work that nobody waits for."""


class Stop:
    """Tells a pipeline to stop: because its caller left, or because its time is over."""

    def __init__(self, deadline: float, clock: Callable[[], float]) -> None:
        self._deadline = deadline
        self._clock = clock
        self._event = threading.Event()

    def set(self) -> None:
        """From now on `check` raises."""
        self._event.set()

    def check(self) -> None:
        """Raises `Stopped` when the work is not wanted any more."""
        if self._event.is_set() or self._clock() >= self._deadline:
            raise Stopped
