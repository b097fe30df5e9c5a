"""The threads around the schedule: stampede, leaving, failure, shutdown, with a real engine's blocking."""

import threading
from collections.abc import Callable

import pytest

from absa_server.absa.batches import BatchRunner
from absa_server.absa.chains import Rows, Steps
from absa_server.absa.pipeline import Pipeline
from absa_server.errors import EngineFailed, ModelNotReady
from absa_server.serving.batching.jobs import Job
from absa_server.serving.batching.scheduler import Scheduler
from absa_server.types import Record
from tests.serving.batching.interleavings import DoublingEngine, chain, row
from tests.serving.conftest import GatedEngine


class Caller:
    """Waits for its job as the event loop does, without one."""

    def __init__(self, scheduler: Scheduler, *chains: Steps[int]) -> None:
        self.news = threading.Event()
        self.job: Job = scheduler.submit(chains, wake=self.news.set)

    def answers(self) -> dict[int, int]:
        assert self.news.wait(30), "nobody woke the caller"
        if self.job.error is not None:
            raise self.job.error
        return dict(self.job.take_finished())


@pytest.fixture
def runner() -> BatchRunner:
    return BatchRunner(DoublingEngine(0), 0, False, 200)


def test_stampede_gives_each_its_own(runner: BatchRunner) -> None:
    """Callers in many threads at once: every record's answer is its own, and the threads end."""
    scheduler = Scheduler(3)
    results: dict[int, dict[int, int]] = {}

    def ask(number: int) -> None:
        callers = [
            Caller(scheduler, chain([(runner, [[20 + number, index]])]), chain([(runner, [[index] * 3])]))
            for index in range(14, 24)
        ]
        for index, caller in enumerate(callers):
            results[100 * number + index] = caller.answers()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    scheduler.close()
    assert len(results) == 200
    assert all(
        answer == {0: 2 * (20 + key // 100 + 14 + key % 100), 1: 6 * (14 + key % 100)}
        for key, answer in results.items()
    )


def test_rows_that_wait_together_run_together(pipeline: Pipeline, engine: GatedEngine) -> None:
    """What comes while a stream is busy is its next batch, over all requests."""
    stage = pipeline.aspect
    assert stage is not None
    wide = BatchRunner(engine, 0, False, 4096)
    engine.gate.clear()
    scheduler = Scheduler(1)

    def rate(ids: list[int]) -> Steps[int]:
        logits = yield Rows(wide, [row(ids)])
        return len(logits)

    first = Caller(scheduler, rate([1]))
    assert engine.entered.wait(10)
    rest = [Caller(scheduler, rate([1, n])) for n in range(12)]
    engine.gate.set()
    assert first.answers() == {0: 1}
    assert all(caller.answers() == {0: 1} for caller in rest)
    assert engine.passes == 2
    scheduler.close()


def test_scheduler_is_busy_while_a_job_is_not_over(pipeline: Pipeline, engine: GatedEngine) -> None:
    """Loads of other models wait for that."""
    scheduler = Scheduler(1)
    assert not scheduler.is_busy
    engine.gate.clear()
    caller = Caller(scheduler, pipeline.chain(Record("food")))  # type: ignore[arg-type]
    assert engine.entered.wait(10)
    assert scheduler.is_busy
    engine.gate.set()
    caller.answers()
    assert not scheduler.is_busy
    scheduler.close()


def test_spare_thread_begins_what_comes_while_all_streams_infer(pipeline: Pipeline, engine: GatedEngine) -> None:
    """The next request has been tokenized when a stream becomes free for it; without a spare thread it has not."""
    engine.gate.clear()
    begun = threading.Event()

    def watched() -> Steps[int]:
        begun.set()
        return 1
        yield

    for spare_threads in (0, 1):
        begun.clear()
        engine.entered.clear()
        scheduler = Scheduler(1, spare_threads=spare_threads)
        first = Caller(scheduler, pipeline.chain(Record("food")))  # type: ignore[arg-type]
        assert engine.entered.wait(10)
        second = Caller(scheduler, watched())
        assert begun.wait(10 if spare_threads else 0.2) == bool(spare_threads)
        engine.gate.set()
        assert len(first.answers()) == len(second.answers()) == 1
        scheduler.close()
        engine.gate.clear()


def test_abandoned_job_ends_without_its_answers(pipeline: Pipeline, engine: GatedEngine) -> None:
    """Whoever leaves is not woken, and of its records at most one batch is finished."""
    engine.gate.clear()
    scheduler = Scheduler(1)
    news = threading.Event()
    records = [Record(f"food {'a ' * n}") for n in range(20)]
    job = scheduler.submit([pipeline.chain(record) for record in records], wake=news.set)
    assert engine.entered.wait(10)
    scheduler.abandon(job)
    engine.gate.set()
    scheduler.close()
    assert engine.passes == 1
    assert not news.is_set()


def test_failing_engine_fails_the_job_and_not_the_next(pipeline: Pipeline, engine: GatedEngine) -> None:
    """The caller gets what the engine raised; the streams go on."""
    scheduler = Scheduler(1)
    engine.failure = EngineFailed("out of luck")
    with pytest.raises(EngineFailed, match="out of luck"):
        Caller(scheduler, pipeline.chain(Record("food"))).answers()  # type: ignore[arg-type]
    engine.failure = None
    assert len(Caller(scheduler, pipeline.chain(Record("food"))).answers()) == 1  # type: ignore[arg-type]
    scheduler.close()


def test_close_settles_every_waiter_and_leaves_no_thread(pipeline: Pipeline, engine: GatedEngine) -> None:
    """Work that does not end in time fails with the reason; then nothing is taken any more."""
    before = threading.active_count()
    engine.gate.clear()
    scheduler = Scheduler(2)
    callers = [Caller(scheduler, pipeline.chain(Record("food " * n))) for n in range(1, 9)]  # type: ignore[arg-type]
    assert engine.entered.wait(10)
    closing = threading.Thread(target=scheduler.close, kwargs={"drain_s": 0.0})
    closing.start()
    for caller in callers:
        with pytest.raises(ModelNotReady, match="stopping"):
            caller.answers()
    engine.gate.set()
    closing.join(30)
    assert threading.active_count() == before
    with pytest.raises(ModelNotReady, match="stopping"):
        scheduler.submit([], wake=lambda: None)


def test_close_finishes_what_was_submitted(pipeline: Pipeline) -> None:
    """Within its time, a stop costs nobody an answer."""
    scheduler = Scheduler(2)
    callers = [Caller(scheduler, pipeline.chain(Record("food " * n))) for n in range(1, 30)]  # type: ignore[arg-type]
    scheduler.close()
    assert all(len(caller.answers()) == 1 for caller in callers)


def test_no_records_are_over_at_once() -> None:
    """A job without chains wakes its caller and needs no thread's work."""
    scheduler = Scheduler(1)
    assert Caller(scheduler).answers() == {}
    scheduler.close()


def test_unforeseen_failure_settles_the_waiters(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in the bookkeeping itself is logged, fails the jobs it lost, and leaves the threads alive."""
    scheduler = Scheduler(1)
    settle: Callable[..., None] = scheduler._schedule.settle

    def broken(*arguments: object) -> None:
        monkeypatch.setattr(scheduler._schedule, "settle", settle)
        raise RuntimeError("boom")

    monkeypatch.setattr(scheduler._schedule, "settle", broken)
    with pytest.raises(EngineFailed, match="lost track"):
        Caller(scheduler, pipeline.chain(Record("food"))).answers()  # type: ignore[arg-type]
    assert "scheduler_failed" in caplog.messages
    assert len(Caller(scheduler, pipeline.chain(Record("food"))).answers()) == 1  # type: ignore[arg-type]
    scheduler.close()
