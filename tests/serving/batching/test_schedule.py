"""What is done next, one event at a time: sharing, order between requests, failures, and what is dropped."""

from collections.abc import Sequence

import pytest

from absa_server.absa.batches import BatchRunner
from absa_server.errors import EngineFailed
from absa_server.serving.batching.jobs import WINDOW_ROWS, Job
from absa_server.serving.batching.schedule import MOST_STEPS, Batch, Schedule, Stepping
from tests.serving.batching.interleavings import POISON, DoublingEngine, chain


@pytest.fixture
def runner() -> BatchRunner:
    return BatchRunner(DoublingEngine(0), 0, False, 1000)


def job(runner: BatchRunner, *records: Sequence[list[int]], arrived_s: float = 0.0) -> Job:
    """A request of records that ask for these rows each."""
    return Job([chain([(runner, list(rows))]) for rows in records], arrived_s=arrived_s, wake=lambda: None)


def step_all(schedule: Schedule, *, idle_streams: int = 1) -> Batch | None:
    """Moves every chain on as far as it goes without a model; returns the batch that comes then."""
    while isinstance(work := schedule.next(idle_streams=idle_streams), Stepping):
        work.run()
        schedule.settle(work, now_s=0.0)
    assert work is None or isinstance(work, Batch)
    return work


def batch(schedule: Schedule, *, idle_streams: int = 1) -> Batch:
    """As `step_all`, where there must be a batch."""
    work = step_all(schedule, idle_streams=idle_streams)
    assert work is not None
    return work


def finish(schedule: Schedule, work: Batch) -> None:
    """Infers."""
    work.run()
    schedule.settle(work, now_s=0.0)


def test_identical_rows_of_several_requests_run_once(runner: BatchRunner) -> None:
    """One that waits and one that is already under way are both shared; each request gets its answer."""
    schedule = Schedule()
    jobs = [job(runner, [[1, 2]]) for _ in range(3)]
    schedule.submit(jobs[0])
    schedule.submit(jobs[1])
    under_way = batch(schedule)
    schedule.submit(jobs[2])
    assert step_all(schedule) is None, "its row is under way"
    finish(schedule, under_way)
    step_all(schedule)
    assert [one.take_finished() for one in jobs] == [[(0, 6)]] * 3
    assert runner.engine.rows == [(1, 2)]  # type: ignore[attr-defined]
    assert schedule.take_saved() == (2, 0)
    assert schedule.is_empty


def test_short_request_passes_a_large_one_that_came_before(runner: BatchRunner) -> None:
    """What a request has asked for moves its further rows back; a later small one is due before them."""
    schedule = Schedule()
    large = job(runner, *[[[index, 1, 1, 1]] for index in range(20, 40)], arrived_s=0.0)
    small = job(runner, [[5] * 50], arrived_s=0.001)
    schedule.submit(large)
    schedule.submit(small)
    step_all(schedule)
    order = sorted(large.entries | small.entries, key=lambda entry: entry.due_s)
    assert [entry in small.entries for entry in order].index(True) == 3


def test_old_request_is_not_passed_for_ever(runner: BatchRunner) -> None:
    """A request that comes later than the largest grace is due after every row of the old one."""
    old, new = job(runner, arrived_s=0.0), job(runner, arrived_s=10.1)
    assert max(old.due_s(500) for _ in range(1000)) < new.due_s(1)


def test_many_records_are_begun_some_at_a_time_and_in_turn(runner: BatchRunner) -> None:
    """A request of a thousand records has a window of rows waiting; another's one record is begun beside them."""
    schedule = Schedule()
    large = job(runner, *[[[index, 1]] for index in range(20, 1020)])
    small = job(runner, [[1]])
    schedule.submit(large)
    schedule.submit(small)
    first = schedule.next()
    assert isinstance(first, Stepping)
    assert len(first.chains) == MOST_STEPS
    assert first.chains[1].job is small
    first.run()
    schedule.settle(first, now_s=0.0)
    step_all(schedule)
    assert WINDOW_ROWS <= len(large.entries) < WINDOW_ROWS + MOST_STEPS


def test_poisoned_row_fails_alone(runner: BatchRunner) -> None:
    """A batch that fails is run row by row: only the request with the row that fails again is told so."""
    schedule = Schedule()
    good, bad = job(runner, [[1, 2]]), job(runner, [[POISON, 2]], [[3, 4]])
    schedule.submit(good)
    schedule.submit(bad)
    whole = batch(schedule)
    assert len(whole.entries) == 3
    finish(schedule, whole)
    while (alone := step_all(schedule)) is not None:
        assert len(alone.entries) == 1
        finish(schedule, alone)
    assert good.take_finished() == [(0, 6)]
    assert isinstance(bad.error, EngineFailed)
    assert schedule.is_empty


def test_abandoned_rows_do_not_reach_the_model_unless_somebody_else_wants_them(runner: BatchRunner) -> None:
    """Shared rows stay for the other; the rest is dropped and counted."""
    schedule = Schedule()
    leaver, other = job(runner, [[1, 2]], [[3, 4]]), job(runner, [[1, 2]])
    schedule.submit(leaver)
    schedule.submit(other)
    while not leaver.entries:  # until its rows wait
        first = schedule.next()
        assert isinstance(first, Stepping)
        first.run()
        schedule.settle(first, now_s=0.0)
    schedule.abandon(leaver)
    only = batch(schedule)
    assert [entry.row.ids.tolist() for entry in only.entries] == [[1, 2]]
    finish(schedule, only)
    step_all(schedule)
    assert other.take_finished() == [(0, 6)]
    assert leaver.take_finished() == []
    assert schedule.take_saved() == (1, 1)
    assert schedule.is_empty


def test_idle_streams_share_what_waits(runner: BatchRunner) -> None:
    """With two streams idle the first takes half; a stream beside busy ones takes all that fits."""
    schedule = Schedule()
    schedule.submit(job(runner, *[[[index] * 20] for index in range(20, 36)]))
    assert len(batch(schedule, idle_streams=2).entries) == 8
    schedule.submit(job(runner, *[[[index] * 20] for index in range(40, 44)]))
    assert len(batch(schedule, idle_streams=1).entries) == 12


def test_chain_that_raises_fails_its_own_request(runner: BatchRunner) -> None:
    """Whatever a tokenizer or decoder raises reaches the caller of that request alone."""

    def broken():
        raise ValueError("broken")
        yield

    schedule = Schedule()
    bad, good = Job([broken()], arrived_s=0.0, wake=lambda: None), job(runner, [[1]])
    schedule.submit(bad)
    schedule.submit(good)
    only = batch(schedule)
    assert isinstance(bad.error, ValueError)
    assert schedule.take_to_wake() == [bad]
    finish(schedule, only)
    step_all(schedule)
    assert good.take_finished() == [(0, 2)]
