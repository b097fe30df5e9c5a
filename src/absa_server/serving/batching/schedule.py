"""What is to be done next, for all requests at once: a state machine without threads, clock or inference.

Whoever works asks `next` for work, does it without any lock, and tells the result to `settle`. Work is never given out
twice, and what a chain is sent is what it asked for: `tests/serving/batching/test_interleavings.py`.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from absa_server.absa.batches import BatchRunner
from absa_server.errors import EngineFailed
from absa_server.serving.batching.jobs import Chain, Job
from absa_server.serving.batching.row_queue import Entry, RowQueue
from absa_server.types import FloatArray

# Chains that go one step in one piece of work: tokenizing and decoding, some 0.1 ms each. Higher: less bookkeeping;
# lower: sooner back to inference.
MOST_STEPS = 16


@dataclass(slots=True, eq=False)
class Stepping:
    """Chains to be moved on, and whether these are their first steps."""

    chains: list[Chain]
    is_first: bool

    def run(self) -> None:
        """Moves them on; raises nothing. Needs no lock."""
        for chain in self.chains:
            if not chain.job.is_over:
                chain.step()


@dataclass(slots=True, eq=False)
class Batch:
    """Rows to be run through one model together."""

    runner: BatchRunner
    entries: list[Entry]
    logits: list[FloatArray] | None = None
    error: Exception | None = None

    def run(self) -> None:
        """Infers; raises nothing. Needs no lock."""
        try:
            self.logits = self.runner.infer([entry.row for entry in self.entries])
        except Exception as error:  # its rows alone fail
            self.error = error

    @property
    def padded_tokens(self) -> int:
        """Tokens of the batch, padding included."""
        return self.runner.cost_tokens([len(entry.row) for entry in self.entries])

    @property
    def tokens(self) -> int:
        """Tokens of the rows themselves."""
        return sum(len(entry.row) for entry in self.entries)


Work = Stepping | Batch


class _Model:
    """A model's waiting rows, and all that are wanted of it and not answered, by identity."""

    def __init__(self) -> None:
        self.queue = RowQueue()
        self.wanted: dict[bytes, Entry] = {}


class Schedule:
    """Not thread-safe: call it under one lock. Models come with the first row for them and go with the last."""

    def __init__(self) -> None:
        self.jobs: set[Job] = set()
        self._models: dict[BatchRunner, _Model] = {}
        self._ready: deque[Chain] = deque()
        self._offered: deque[Job] = deque()  # jobs with records to begin, in turn
        self._to_wake: dict[Job, None] = {}
        self._deduplicated_rows = self._dropped_rows = 0

    def submit(self, job: Job) -> None:
        """Takes constant time: the first step of every record is work as well."""
        if not job.is_over:
            self.jobs.add(job)
            self._offer(job)

    def abandon(self, job: Job, error: BaseException | None = None) -> None:
        """Drops what is left of a job; rows that nobody else wants do not reach the model."""
        if job.is_over:
            return
        job.fail(error)
        self._leave(job)
        for entry in job.entries:
            self._drop(entry, job)
        job.entries.clear()

    def next(self, *, idle_streams: int = 1, is_step_due: bool = True) -> Work | None:
        """Something to do, or None: chains that have their logits; first steps, where `is_step_due`; a batch.

        `idle_streams`, the asking one included, share what waits; nothing is left to busy ones: larger batches gain
        more than idle moments cost.
        """
        if self._ready:
            return Stepping([self._ready.popleft() for _ in range(min(MOST_STEPS, len(self._ready)))], is_first=False)
        if self._offered and (is_step_due or not self._models_waiting()):
            return Stepping(self._begin(), is_first=True)
        return self._batch(idle_streams)

    @property
    def has_work(self) -> bool:
        """Whether `next` would give something."""
        return bool(self._ready or self._offered or self._models_waiting())

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of any request or model: what `has_work` tells, and nothing under way either."""
        return not (self.has_work or self.jobs or self._models)

    def settle(self, work: Work, now_s: float) -> None:
        """The work has been run: chains go on, jobs end, rows queue."""
        if isinstance(work, Batch):
            self._settle_batch(work)
            return
        for chain in work.chains:
            self._settle_step(chain, now_s)

    def take_to_wake(self) -> list[Job]:
        """Jobs whose waiters have something to see, each once."""
        jobs = list(self._to_wake)
        self._to_wake.clear()
        return jobs

    def take_saved(self) -> tuple[int, int]:
        """Rows that were not run, since this was last asked: identical to one in flight, and wanted by nobody."""
        saved = self._deduplicated_rows, self._dropped_rows
        self._deduplicated_rows = self._dropped_rows = 0
        return saved

    def _models_waiting(self) -> list[tuple[BatchRunner, RowQueue]]:
        return [(runner, model.queue) for runner, model in self._models.items() if len(model.queue)]

    def _offer(self, job: Job) -> None:
        if job.may_begin and not job.is_offered:
            job.is_offered = True
            self._offered.append(job)

    def _begin(self) -> list[Chain]:
        """Records to begin, one of each job in turn, so that no job's many records stand before another's one."""
        chains: list[Chain] = []
        while self._offered and len(chains) < MOST_STEPS:
            job = self._offered.popleft()
            job.is_offered = False
            if job.may_begin:
                chains.append(job.unbegun.popleft())
                self._offer(job)
        return chains

    def _batch(self, idle_streams: int) -> Batch | None:
        waiting = self._models_waiting()
        if not waiting:
            return None
        tokens = sum(queue.tokens for _, queue in waiting)
        runner, queue = min(waiting, key=lambda one: one[1].first.due_s if one[1].first else 0.0)
        limit = min(math.ceil(tokens / idle_streams), runner.budget_tokens)
        return Batch(runner, queue.take(limit, is_padding_free=runner.is_padding_free))

    def _settle_step(self, chain: Chain, now_s: float) -> None:
        job = chain.job
        if job.is_over:
            return
        if chain.error is not None:
            self.abandon(job, chain.error)
        elif chain.asked is None:
            job.finish(chain.index, chain.result)
            self._tell(job)
        else:
            self._queue(chain, chain.asked.runner, now_s)
            self._offer(job)

    def _queue(self, chain: Chain, runner: BatchRunner, now_s: float) -> None:
        rows = chain.asked.inputs if chain.asked else ()
        chain.logits, chain.missing = [None] * len(rows), len(rows)
        model = self._models.setdefault(runner, _Model())
        for place, (row, identity) in enumerate(zip(rows, chain.identities, strict=True)):
            due_s = chain.job.due_s(len(row))
            entry = model.wanted.get(identity)
            if entry is None:
                entry = model.wanted[identity] = Entry(row, identity, due_s, now_s, model=chain.job.model)
                model.queue.add(entry)
            else:
                self._deduplicated_rows += 1
                model.queue.hasten(entry, due_s)
            entry.waiters.append((chain, place))
            chain.job.entries.add(entry)

    def _settle_batch(self, batch: Batch) -> None:
        model = self._models[batch.runner]
        if batch.error is not None and len(batch.entries) > 1:
            self._retry(model, batch.entries)
        else:
            for index, entry in enumerate(batch.entries):
                del model.wanted[entry.identity]
                if batch.logits is not None:
                    self._answer(entry, batch.logits[index])
                else:
                    self._fail(entry, batch.error)
        self._forget_empty(batch.runner)

    def _retry(self, model: _Model, entries: Sequence[Entry]) -> None:
        """One row may have spoilt the batch: each is tried by itself, and fails by itself."""
        for entry in entries:
            entry.is_alone = True
            if entry.waiters:
                model.queue.add(entry)
            else:
                del model.wanted[entry.identity]

    def _answer(self, entry: Entry, logits: FloatArray) -> None:
        for chain, place in entry.waiters:
            chain.logits[place] = logits
            chain.missing -= 1
            chain.job.entries.discard(entry)
            if chain.missing == 0:
                self._ready.append(chain)
            self._offer(chain.job)

    def _fail(self, entry: Entry, error: Exception | None) -> None:
        for job in {chain.job for chain, _ in entry.waiters}:
            self.abandon(job, error or EngineFailed("the engine gave no answer"))

    def _drop(self, entry: Entry, job: Job) -> None:
        entry.waiters = [waiter for waiter in entry.waiters if waiter[0].job is not job]
        if entry.waiters or not entry.is_waiting:
            return
        self._dropped_rows += 1
        for runner, model in self._models.items():
            if model.wanted.get(entry.identity) is entry:
                model.queue.remove(entry)
                del model.wanted[entry.identity]
                self._forget_empty(runner)
                return

    def _forget_empty(self, runner: BatchRunner) -> None:
        """A model's last row has gone: nothing here keeps the model from being unloaded."""
        model = self._models.get(runner)
        if model is not None and not model.wanted:
            del self._models[runner]

    def _tell(self, job: Job) -> None:
        if job.is_over or job.every:
            self._to_wake[job] = None
        if job.is_over:
            self.jobs.discard(job)

    def _leave(self, job: Job) -> None:
        self.jobs.discard(job)
        if job.error is not None:
            self._to_wake[job] = None
