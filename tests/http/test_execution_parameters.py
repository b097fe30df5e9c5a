"""What batch transform is told: arithmetic by itself, and the measurement over an engine that the test holds."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.errors import EngineFailed
from absa_server.http.execution_parameters import (
    PAYLOAD_S,
    TOTAL_MB,
    Capacity,
    ExecutionParameters,
    transform_parameters,
)
from absa_server.serving.model_slot import ModelSlot
from absa_server.serving.service import Service, ServiceLimits

MIB = 1 << 20


@given(st.floats(0, 1e9), st.integers(1, 1024), st.integers(1, 64))
def test_full_payloads_are_answered_in_time_and_allowed(bytes_per_s, max_payload_mb, streams):
    """All that is under way together takes at most half of 300 s, but for one request of 1 MB, the least there is."""
    said = transform_parameters(Capacity(bytes_per_s), max_payload_mb=max_payload_mb, streams=streams)
    concurrent, size_mb = said["MaxConcurrentTransforms"], said["MaxPayloadInMB"]
    assert 1 <= concurrent <= streams
    assert 1 <= size_mb <= max_payload_mb
    assert concurrent * size_mb <= TOTAL_MB
    assert (concurrent, size_mb) == (1, 1) or concurrent * size_mb * MIB / PAYLOAD_S <= bytes_per_s


@pytest.mark.parametrize(
    ("mb_per_s", "expected"), [(0.0, (1, 1)), (1 / 150, (1, 1)), (8 / 150, (4, 2)), (60 / 150, (4, 15)), (9.0, (4, 25))]
)
def test_faster_containers_are_sent_more(mb_per_s, expected):
    """First as many requests as there are streams, then larger ones, up to what the platform allows in all."""
    said = transform_parameters(Capacity(mb_per_s * MIB * 1.0001), max_payload_mb=100, streams=4)
    assert (said["MaxConcurrentTransforms"], said["MaxPayloadInMB"]) == expected
    assert said["BatchStrategy"] == "MULTI_RECORD"


def test_nothing_measured_is_the_least():
    """While the model loads, or fails."""
    said = transform_parameters(None, max_payload_mb=100, streams=8)
    assert (said["MaxConcurrentTransforms"], said["MaxPayloadInMB"]) == (1, 1)


def test_capacity_is_measured_once_for_all_who_ask(loaded, engine, eventually):
    """A stampede shares one measurement, and later callers take it as it is."""

    async def play():
        slot = ModelSlot(lambda: loaded)
        service = Service(slot, ServiceLimits(1, 4, 30.0))
        times = iter(range(1000))  # each look at the clock is a second later
        parameters = ExecutionParameters(service, max_payload_mb=100, streams=4, clock=lambda: float(next(times)))
        assert (await parameters.read())["MaxPayloadInMB"] == 1  # no model, no measurement
        assert engine.passes == 0
        slot.start()
        await asyncio.to_thread(eventually, lambda: slot.is_ready)
        first, *others = await asyncio.gather(*(parameters.read() for _ in range(5)))
        passes = engine.passes
        assert passes > 0
        assert [*others, await parameters.read()] == [first] * 5
        assert engine.passes == passes
        service.close()

    asyncio.run(play())


def test_failing_model_is_measured_again_by_the_next(loaded, engine, eventually):
    """A failure is answered with the least, and not remembered."""
    engine.failure = EngineFailed("broken")

    async def play():
        slot = ModelSlot(lambda: loaded)
        service = Service(slot, ServiceLimits(1, 4, 30.0))
        parameters = ExecutionParameters(service, max_payload_mb=100, streams=1)
        slot.start()
        await asyncio.to_thread(eventually, lambda: slot.is_ready)
        assert (await parameters.read())["MaxPayloadInMB"] == 1
        engine.failure = None
        assert (await parameters.read())["MaxPayloadInMB"] > 1
        service.close()

    asyncio.run(play())
