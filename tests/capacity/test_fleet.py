"""Sizes of fleets, on an instance that is known."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.capacity.errors import Infeasible
from absa_server.capacity.fleet import Demand, alone, instances_for_percentile, instances_for_zone_loss, size_fleet
from absa_server.capacity.load_test import Instance

INSTANCE = Instance(100.0, 125.0, 0.04, 0.06, 1, 1000.0)


def test_ten_thousand_a_second():
    """The worked example of the docs: knee 100/s, half of it planned with, three zones."""
    fleet = size_fleet(INSTANCE, Demand(10_000, 0.99, 1.0))
    assert (fleet.by_knee, fleet.by_zone_loss, fleet.instances) == (200, 188, 200)
    assert fleet.invocations_target_per_minute == 3000
    assert fleet.concurrency_target == pytest.approx(3.0)
    assert fleet.lambda_concurrency == 800
    assert fleet.results_puts_per_s == 20
    assert fleet.percentile_ms_pooled <= fleet.percentile_ms_random <= 1000


def test_small_rates_still_have_two_instances():
    """One instance is one zone."""
    assert size_fleet(INSTANCE, Demand(1, 0.99, 1.0)).instances == 2


@pytest.mark.parametrize(("zones", "instances"), [(1, 125), (2, 250), (3, 188), (4, 167)])
def test_zone_loss_leaves_enough(zones, instances):
    """What is left of the zones carries the rate at 0.8 of the knee."""
    assert instances_for_zone_loss(INSTANCE, Demand(10_000, 0.99, 1.0, zones=zones)) == instances


@given(rate=st.floats(1, 50_000), percentile=st.floats(0.5, 0.999), latency_s=st.floats(0.3, 5))
def test_percentile_size_is_the_smallest(rate, percentile, latency_s):
    """That many instances meet the percentile by queueing theory, one less does not."""
    count = instances_for_percentile(INSTANCE, Demand(rate, percentile, latency_s))
    assert alone(INSTANCE, rate / count).exceeds(latency_s) <= 1 - percentile + 1e-9
    if count > 1:
        fewer = alone(INSTANCE, rate / (count - 1))
        assert not fewer.is_stable or fewer.exceeds(latency_s) > 1 - percentile


def test_too_slow_an_instance_is_infeasible():
    """More instances do not make one request faster: exponential service alone takes 40 ms × ln 100 at p99."""
    needed_s = 0.04 * math.log(100)
    assert instances_for_percentile(INSTANCE, Demand(100, 0.99, needed_s * 1.01)) >= 1
    with pytest.raises(Infeasible, match="no fleet can do better"):
        instances_for_percentile(INSTANCE, Demand(100, 0.99, needed_s * 0.99))
