"""Answers requests: a permit before any work, threads shared by all, and a time by which an answer must be there.

Knows no HTTP. The analysis itself is the pipeline's, its order the scheduler's.
"""

import asyncio
import math
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial

from absa_server.absa.pipeline import Pipeline
from absa_server.errors import DeadlineExceeded, InvalidRequest, Overloaded
from absa_server.serving.answer_cache import AnswerCache
from absa_server.serving.batching.jobs import Job
from absa_server.serving.batching.outbox import Outbox
from absa_server.serving.batching.scheduler import Scheduler
from absa_server.serving.model_slot import ModelSlot
from absa_server.serving.priorities import yield_to_event_loop
from absa_server.telemetry.batching import BatchMetrics
from absa_server.telemetry.model_labels import ONE_MODEL
from absa_server.types import Analysis, Record

Answer = Analysis | InvalidRequest

_RETRY_AFTER_S = 1
# Threads that tokenize while all streams infer. At 32 clients on two cores one served 6 % more than none, at 8 as many
# with a p99 12 % longer; a second one served no more.
SPARE_THREADS = 1


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """See the settings of the same names."""

    streams: int
    max_pending_requests: int
    request_timeout_s: float


@dataclass(slots=True)
class Deadline:
    """A request's time as it runs: `advice` tells whoever is late what to do, where that is not to send less."""

    advice: str | None = None


class Service:
    """Lives on one event loop; the work is done in threads. Close it once, after the last request."""

    def __init__(
        self,
        slot: ModelSlot,
        limits: ServiceLimits,
        *,
        cache: AnswerCache | None = None,
        metrics: BatchMetrics | None = None,
    ) -> None:
        self.slot = slot
        self.streams = limits.streams
        self.pending_requests = 0
        self._limits = limits
        self.cache = cache
        self._scheduler = Scheduler(
            limits.streams, spare_threads=SPARE_THREADS, metrics=metrics, prepare_thread=yield_to_event_loop
        )
        self._outbox: Outbox | None = None

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

    @property
    def is_busy(self) -> bool:
        """Whether texts of any request are waiting for models or in them; never waits."""
        return self._scheduler.is_busy

    async def predict(self, pipeline: Pipeline, records: Sequence[Record], *, model: str = ONE_MODEL) -> list[Answer]:
        """One result a record, in order. A caller that is cancelled or too late leaves at most a batch a stream behind.

        `model` is the name that the work is counted under.
        Raises `DeadlineExceeded`, `EngineFailed`, and `ModelNotReady` when the server stops.
        """
        answers: dict[int, Answer] = dict(self._known(pipeline, records))
        if len(answers) < len(records):
            async with self.deadline():
                with self._job(pipeline, records, known=answers, every=False, model=model) as job:
                    await job.news.wait()
                    answers.update(job.take())
                    job.raise_failure()
        return [answers[index] for index in range(len(records))]

    def predict_in_thread(self, pipeline: Pipeline, records: Sequence[Record]) -> list[Answer]:
        """As `predict`, for a caller in a thread of its own, which waits: its rows share batches with all others."""
        done = threading.Event()
        job = self._scheduler.submit([pipeline.chain(record) for record in records], wake=done.set)
        limit_s = self._limits.request_timeout_s
        try:
            if not done.wait(None if math.isinf(limit_s) else limit_s):
                raise self._too_late(Deadline())
            if job.error is not None:
                raise job.error
            answers = dict(job.take_finished())
            return [answers[index] for index in range(len(records))]
        finally:
            self._scheduler.abandon(job)

    async def stream(
        self, pipeline: Pipeline, records: Sequence[Record], *, model: str = ONE_MODEL
    ) -> AsyncGenerator[tuple[int, Answer]]:
        """The results as they come, each with the index of its record; then raises what `predict` does.

        Close it (`aclosing`), inside a `deadline` of your own: time that a reader takes is not the server's.
        """
        known = self._known(pipeline, records)
        for found in known.items():
            yield found
        with self._job(pipeline, records, known=known, every=True, model=model) as job:
            while not job.is_over:
                await job.news.wait()
                job.news.clear()
                for result in job.take():
                    yield result
                job.raise_failure()

    def _known(self, pipeline: Pipeline, records: Sequence[Record]) -> dict[int, Analysis]:
        """What the cache holds, by the record's index."""
        if self.cache is None:
            return {}
        found = ((index, self.cache.get(pipeline.version, record)) for index, record in enumerate(records))
        return {index: analysis for index, analysis in found if analysis is not None}

    @contextmanager
    def _job(
        self, pipeline: Pipeline, records: Sequence[Record], *, known: Mapping[int, Answer], every: bool, model: str
    ) -> Iterator["_Work"]:
        """Hands the records that are not known to the scheduler; leaving the block ends what is left of them."""
        unknown = {index: records[index] for index in range(len(records)) if index not in known}
        news = asyncio.Event()
        chains = [pipeline.chain(record) for record in unknown.values()]
        wake = partial(self._own_outbox().send, news.set)
        job = self._scheduler.submit(chains, wake=wake, every=every, model=model)

        def keep(index: int, answer: Answer) -> None:
            if self.cache is not None and isinstance(answer, Analysis):
                self.cache.put(pipeline.version, records[index], answer)

        try:
            yield _Work(job, news, tuple(unknown), keep)
        finally:
            self._scheduler.abandon(job)

    def _own_outbox(self) -> Outbox:
        loop = asyncio.get_running_loop()
        if self._outbox is None or self._outbox.loop is not loop:
            self._outbox = Outbox(loop)
        return self._outbox

    @asynccontextmanager
    async def deadline(self, *, spent_s: float = 0.0) -> AsyncIterator[Deadline]:
        """Cancels what is awaited inside when a request's time is over. Raises `DeadlineExceeded` then.

        `spent_s`: how much of its time the request has had before. What need not be waited for is never too late.
        """
        deadline = Deadline()
        try:
            async with asyncio.timeout(self._limits.request_timeout_s - spent_s):
                yield deadline
        except TimeoutError:
            raise self._too_late(deadline) from None

    def _too_late(self, deadline: Deadline) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"no answer within {self._limits.request_timeout_s:g} s (SAGEMAKER_MODEL_SERVER_TIMEOUT); "
            f"{deadline.advice or 'send fewer or shorter texts a request'}",
            retry_after_s=_RETRY_AFTER_S,
        )

    def close(self) -> None:
        """Waits some seconds for work in flight, fails what is left, then frees the threads and the model."""
        self._scheduler.close()
        self.slot.close()


class _Work:
    """A job as the event loop sees it: `news` is set when `take` has something to give, or it has failed."""

    def __init__(
        self, job: Job, news: asyncio.Event, indexes: Sequence[int], keep: Callable[[int, Answer], None]
    ) -> None:
        self.news = news
        self.is_over = False
        self._failure: BaseException | None = None
        self._job = job
        self._indexes = indexes
        self._keep = keep

    def take(self) -> list[tuple[int, Answer]]:
        """Results that are new, by their records' indexes."""
        self.is_over, self._failure = self._job.is_over, self._job.error  # read first: then the results are all there
        taken = [(self._indexes[place], answer) for place, answer in self._job.take_finished()]
        for index, answer in taken:
            self._keep(index, answer)
        return taken

    def raise_failure(self) -> None:
        """Raises what the job had failed with at the last `take`, if it had."""
        if self._failure is not None:
            raise self._failure
