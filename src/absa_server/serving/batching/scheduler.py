"""The threads that do what the schedule says: as many as the engines have streams, and spare ones.

All state changes in locked, synchronous methods; tokenizing, inference, decoding and waking callers take no lock.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from absa_server.absa.chains import Steps
from absa_server.errors import AbsaError, EngineFailed, ModelNotReady
from absa_server.serving.batching.jobs import Job
from absa_server.serving.batching.schedule import Batch, Schedule, Stepping, Work
from absa_server.telemetry.batching import BatchMetrics
from absa_server.telemetry.model_labels import ONE_MODEL

logger = logging.getLogger(__name__)

# Seconds that `close` waits for what was submitted before it gives up on it.
DRAIN_S = 5.0


class Scheduler:
    """Thread-safe. The threads start with the first job and end in `close`."""

    def __init__(
        self,
        streams: int,
        *,
        spare_threads: int = 0,
        metrics: BatchMetrics | None = None,
        prepare_thread: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`prepare_thread` runs once at the beginning of each thread.

        Spare threads tokenize and decode while all streams infer. Or they hold a batch ready for the next stream of its
        engine; where there are two engines, it may run as one pass more than there are streams.
        """
        self._streams = streams
        self._spare_threads = spare_threads
        self._metrics = metrics
        self._prepare_thread = prepare_thread
        self._clock = clock
        self._schedule = Schedule()
        self._lock = threading.Lock()
        self._has_work = threading.Condition(self._lock)
        self._is_drained = threading.Condition(self._lock)
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._is_closing = self._is_closed = False

    def submit(
        self,
        chains: Sequence[Steps[Any]],
        *,
        wake: Callable[[], None],
        every: bool = False,
        model: str = ONE_MODEL,
    ) -> Job:
        """The job that runs `chains`, begun in a thread; takes the same time whatever the length of their texts.

        `wake` is called in a thread when the job is over, and with `every` whenever results have come. `model` is the
        name that its batches are counted under. Raises `ModelNotReady` after `close`.
        """
        job = Job(chains, arrived_s=self._clock(), wake=wake, every=every, model=model)
        with self._lock:
            if self._is_closing:
                raise _stopping()
            self._start_threads()
            self._schedule.submit(job)
            self._has_work.notify()
        if job.is_over:
            wake()
        return job

    @property
    def is_busy(self) -> bool:
        """Whether any job is not over; never waits."""
        return bool(self._schedule.jobs)

    def abandon(self, job: Job) -> None:
        """Nobody waits for the job any more: of its work, what has reached a model is finished, and no more begun."""
        if job.is_over:
            return
        with self._lock:
            self._schedule.abandon(job)
            self._announce_drained()

    def close(self, drain_s: float = DRAIN_S) -> None:
        """Finishes what was submitted, within `drain_s`, and fails the rest; no thread is left."""
        with self._lock:
            self._is_closing = True
            self._is_drained.wait_for(lambda: not self._schedule.jobs, drain_s)
        self._fail_all(_stopping())
        with self._lock:
            self._is_closed = True
            self._has_work.notify_all()
        for thread in self._threads:
            thread.join()

    def _start_threads(self) -> None:
        while len(self._threads) < self._streams + self._spare_threads:
            name = f"inference_{len(self._threads)}"
            self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
            self._threads[-1].start()

    def _run(self) -> None:
        self._prepare_thread()
        done: Work | None = None
        while True:
            try:
                work = self._exchange(done) or self._wait()
            except Exception:
                logger.exception("scheduler_failed")
                self._fail_all(EngineFailed("the server lost track of its work; the log has the cause"))
                done = None
                continue
            if work is None:
                return
            self._do(work)
            done = work

    def _exchange(self, done: Work | None) -> Work | None:
        """Settles what was done and takes what comes next; callers that have something to see are woken after it."""
        with self._lock:
            if done is not None:
                self._schedule.settle(done, self._clock())
            is_step_due = not (isinstance(done, Stepping) and done.is_first)
            work = self._take(is_step_due=is_step_due)
            jobs = self._schedule.take_to_wake()
            saved = self._schedule.take_saved()
            self._announce_drained()
        for job in jobs:
            job.wake()
        if self._metrics is not None and any(saved):
            self._metrics.record_saved(deduplicated=saved[0], dropped=saved[1])
        return work

    def _wait(self) -> Work | None:
        """The next piece of work, once there is one; None when the scheduler is closed."""
        with self._lock:
            self._idle += 1
            try:
                self._has_work.wait_for(lambda: self._schedule.has_work or self._is_closed)
            finally:
                self._idle -= 1
            return None if self._is_closed else self._take(is_step_due=True)

    def _take(self, *, is_step_due: bool) -> Work | None:
        idle_streams = min(self._streams, 1 + self._idle)
        work = self._schedule.next(idle_streams=idle_streams, is_step_due=is_step_due)
        if self._idle and self._schedule.has_work:
            self._has_work.notify()
        return work

    def _announce_drained(self) -> None:
        if self._is_closing and not self._schedule.jobs:
            self._is_drained.notify_all()

    def _do(self, work: Work) -> None:
        begin_s = self._clock()
        work.run()
        if not isinstance(work, Batch):
            return
        if work.error is not None and not isinstance(work.error, AbsaError):
            logger.error("inference_failed", exc_info=work.error)
        if self._metrics is not None:
            self._metrics.record_batch(
                rows=len(work.entries),
                tokens=work.tokens,
                padded_tokens=work.padded_tokens,
                wait_s=begin_s - min(entry.queued_s for entry in work.entries),
                inference_s=self._clock() - begin_s,
                is_failed=work.error is not None,
                model=work.entries[0].model,
            )

    def _fail_all(self, error: AbsaError) -> None:
        with self._lock:
            for job in list(self._schedule.jobs):
                self._schedule.abandon(job, error)
            jobs = self._schedule.take_to_wake()
            self._announce_drained()
        for job in jobs:
            job.wake()


def _stopping() -> ModelNotReady:
    return ModelNotReady("the server is stopping; send the request again", retry_after_s=1)
