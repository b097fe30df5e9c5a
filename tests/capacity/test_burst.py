"""The batched simulation: its queue against Erlang and the exact one, its scaling against what was decided by hand."""

from itertools import pairwise

import numpy as np
import pytest

from absa_server.capacity.burst import Assumptions, BurstSimulation
from absa_server.capacity.exact_queue import simulate_exactly
from absa_server.capacity.fleet import pooled
from absa_server.capacity.load_test import Instance
from absa_server.capacity.queueing import Queue
from absa_server.capacity.scaling import Policy

# 5 slots of 40 ms: 125 requests a second.
INSTANCE = Instance(100.0, 125.0, 0.04, 0.06, 1, 1000.0)
POLICY = Policy("concurrency", target=3.0, period_s=10.0, delay_s=10.0, low_periods=6)


def simulate(traffic, *, length_s, instances=2, policies=(), **assumed):
    simulation = BurstSimulation(
        INSTANCE, traffic, instances=instances, policies=policies, assumptions=Assumptions(**assumed)
    )
    return simulation.run(length_s)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.9])
def test_steady_state_is_erlangs(share):
    """Mean number in the system is that of M/M/c: exact at low load, within a tenth at 90 %."""
    rate = share * 250
    series = simulate(lambda _: rate, length_s=1200)
    expected = pooled(INSTANCE, rate, 2).mean_in_system()
    assert np.mean(series.in_system[60:]) == pytest.approx(expected, rel=0.1)
    assert np.mean(series.answered_rps[60:]) == pytest.approx(rate, rel=0.02)


def test_steady_state_is_that_of_the_exact_simulation():
    """The same queue request by request gives the same mean in the system (Little), within what chance allows."""
    queue = Queue(200.0, INSTANCE.slot_rps, 10)
    run = simulate_exactly(queue, length_s=200, warm_s=10, seed=5)
    batched = np.mean(simulate(lambda _: 200.0, length_s=1200).in_system[60:])
    assert batched == pytest.approx(np.mean(run.took_s) * 200.0, rel=0.1)


def test_overload_grows_by_what_is_too_much():
    """At 350/s on 250/s the queue grows by 100 a second, and each arrival is told the wait that this means."""
    series = simulate(lambda _: 350.0, length_s=31, pending_per_instance=100_000)
    assert series.in_system[-1] == pytest.approx(100 * series.time_s[-1], rel=0.15)
    assert series.latency_s[-1] == pytest.approx(0.04 + (series.in_system[-1] - 10) / 250)


def test_full_instances_refuse_and_never_hold_more():
    """Beyond what instances may hold requests are refused; nothing is lost: offered is answered, refused or held."""
    series = simulate(lambda _: 500.0, length_s=31, pending_per_instance=20)
    assert max(series.in_system) <= 40
    assert sum(series.refused_rps) > 0
    came = sum(series.answered_rps) + sum(series.refused_rps) + series.in_system[-1]
    assert came == pytest.approx(500 * 30, rel=0.05)


def test_scaling_out_takes_three_samples_their_delay_and_the_start():
    """The burst at 0 s is seen at 30 s, known at 40 s, and served by new instances 100 s later."""
    series = simulate(lambda _: 240.0, length_s=200, policies=(POLICY,), start_s=100.0, max_instances=9)
    ready = dict(zip(series.time_s, series.ready, strict=True))
    desired = dict(zip(series.time_s, series.desired, strict=True))
    assert desired[39.0] == 2
    assert desired[41.0] > 2
    assert ready[139.0] == 2
    assert ready[141.0] == desired[41.0]


def test_capacity_on_its_way_counts_and_the_maximum_holds():
    """While instances start no more are asked for than go beyond them, and never more than the maximum."""
    series = simulate(lambda _: 1000.0, length_s=400, policies=(POLICY,), start_s=300.0, max_instances=7)
    assert max(series.desired) == 7
    assert max(series.ready) == 7


def test_scaling_in_waits_for_its_cool_down_and_stops_at_the_minimum():
    """A quiet fleet shrinks once its low samples are in, again only after the cool-down, never below the minimum."""
    series = simulate(
        lambda _: 40.0, length_s=900, instances=20, policies=(POLICY,), scale_in_cooldown_s=300.0, min_instances=2
    )
    assert series.ready[60] == 20
    changes = [at for at, (a, b) in enumerate(pairwise(series.ready)) if a != b]
    assert series.ready[-1] == 2
    assert all(later - earlier >= 300 for earlier, later in pairwise(changes))


def test_scaling_in_needs_every_policy():
    """A policy that is content, at 120 of 126 a minute, keeps the fleet as it is."""
    content = Policy("invocations", target=126.0, period_s=60.0, delay_s=0.0)
    series = simulate(lambda _: 40.0, length_s=600, instances=20, policies=(POLICY, content))
    assert set(series.ready) == {20}
