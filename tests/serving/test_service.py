"""Permits, deadlines, cancellation, failure and shutdown, on a real event loop with real threads."""

import asyncio
from contextlib import aclosing

import pytest

from absa_server.errors import DeadlineExceeded, EngineFailed, Overloaded
from absa_server.serving.model_slot import ModelSlot
from absa_server.serving.service import SPARE_THREADS, Service, ServiceLimits
from absa_server.types import Record

FOOD = Record("a food a")


def make_service(loaded, *, threads=2, pending=4, timeout_s=30.0):
    slot = ModelSlot(lambda: loaded)
    return Service(slot, ServiceLimits(threads, pending, timeout_s))


def test_predict_answers_every_record_in_order(loaded, pipeline):
    """One analysis a record, in the order of the records."""
    service = make_service(loaded)
    records = [FOOD, Record("nothing here"), Record("food and food")]
    analyses = asyncio.run(service.predict(pipeline, records))
    assert [[(one.start, one.end) for one in analysis.aspects] for analysis in analyses] == [
        [(2, 6)],
        [],
        [(0, 4), (9, 13)],
    ]
    service.close()


def test_permit_refuses_only_above_the_limit(loaded):
    """As many permits as the limit, the next is refused at once and told when to come back; a returned one is free."""
    service = make_service(loaded, pending=2)
    with service.permit(), service.permit():
        with pytest.raises(Overloaded, match="ABSA_MAX_PENDING_REQUESTS") as caught, service.permit():
            pass
        assert caught.value.retry_after_s == 1
    with service.permit():
        assert service.pending_requests == 1
    assert service.pending_requests == 0
    service.close()


def test_permit_is_returned_when_its_request_fails(loaded):
    """A failed request does not keep its place."""
    service = make_service(loaded)
    with pytest.raises(RuntimeError), service.permit():
        raise RuntimeError
    assert service.pending_requests == 0
    service.close()


def test_deadline_answers_in_time_and_drops_the_rest_of_the_work(loaded, pipeline, engine, eventually):
    """A request past its time is told so; of its texts, only the batches under way are still finished."""
    engine.gate.clear()
    service = make_service(loaded, threads=1, timeout_s=0.05)
    with pytest.raises(DeadlineExceeded, match="SAGEMAKER_MODEL_SERVER_TIMEOUT"):
        asyncio.run(service.predict(pipeline, [Record(f"food {'a ' * n}") for n in range(20)]))
    engine.gate.set()
    service.close()
    assert 1 <= engine.passes <= 1 + SPARE_THREADS


def test_cancelled_caller_leaves_at_most_the_batches_under_way(loaded, pipeline, engine, eventually):
    """Work whose caller has gone stops at the next batch of each thread."""
    engine.gate.clear()
    service = make_service(loaded, threads=1)

    async def leave():
        task = asyncio.create_task(service.predict(pipeline, [Record(f"food {'a ' * n}") for n in range(20)]))
        await asyncio.to_thread(engine.entered.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    engine.gate.set()
    service.close()
    assert 1 <= engine.passes <= 1 + SPARE_THREADS


def test_failing_engine_fails_its_own_request_only(loaded, pipeline, engine):
    """An engine's failure reaches its caller; the next request is answered."""
    service = make_service(loaded)
    engine.failure = EngineFailed("out of luck")
    with pytest.raises(EngineFailed, match="out of luck"):
        asyncio.run(service.predict(pipeline, [FOOD]))
    engine.failure = None
    [analysis] = asyncio.run(service.predict(pipeline, [FOOD]))
    assert len(analysis.aspects) == 1
    service.close()


def test_stampede_is_answered_whole(loaded, pipeline):
    """Sixty-four requests at once on two threads: each gets its own answer."""
    service = make_service(loaded)

    async def ask(n):
        [analysis] = await service.predict(pipeline, [Record("a " * n + "food")])
        return analysis.aspects[0].start

    async def stampede():
        return await asyncio.gather(*(ask(n) for n in range(64)))

    assert asyncio.run(stampede()) == [2 * n for n in range(64)]
    service.close()


def test_close_waits_for_work_in_flight_then_frees_the_model(loaded, pipeline, engine, eventually):
    """A request under way is answered before the threads and the model go."""
    service = make_service(loaded)
    service.slot.start()
    eventually(lambda: service.slot.is_ready)
    engine.gate.clear()

    async def close_in_flight():
        task = asyncio.create_task(service.predict(pipeline, [FOOD]))
        await asyncio.to_thread(engine.entered.wait, 10)
        closing = asyncio.create_task(asyncio.to_thread(service.close))
        engine.gate.set()
        [analysis] = await task
        await closing
        return analysis

    assert len(asyncio.run(close_in_flight()).aspects) == 1
    assert engine.is_closed


def test_stream_gives_each_result_as_it_comes(loaded, pipeline, engine):
    """A record is seen before the others are done; each comes once with its own index."""
    service = make_service(loaded, threads=1)

    async def listen():
        async with aclosing(service.stream(pipeline, [Record("a " * n + "food") for n in range(5)])) as results:
            first = await anext(results)
            passes = engine.passes
            return [first] + [result async for result in results], passes

    results, passes_at_first = asyncio.run(listen())
    assert sorted((index, answer.aspects[0].start) for index, answer in results) == [(n, 2 * n) for n in range(5)]
    assert passes_at_first <= 5
    service.close()


def test_reader_that_stops_ends_the_work(loaded, pipeline, engine):
    """Closing the stream drops what has not reached the model."""
    engine.gate.clear()
    service = make_service(loaded, threads=1)

    async def leave():
        async with aclosing(service.stream(pipeline, [Record("a " * n + "food") for n in range(20)])) as results:
            waiting = asyncio.ensure_future(anext(results))
            await asyncio.to_thread(engine.entered.wait, 10)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(leave())
    engine.gate.set()
    service.close()
    assert 1 <= engine.passes <= 1 + SPARE_THREADS
