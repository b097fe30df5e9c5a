"""The closed forms, against textbook values, against each other, and against a simulation request by request."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from absa_server.capacity.exact_queue import simulate_exactly
from absa_server.capacity.queueing import Queue

QUEUES = st.builds(
    lambda servers, service_rps, share: Queue(servers * service_rps * share, service_rps, servers),
    servers=st.integers(1, 400),
    service_rps=st.floats(0.1, 1000),
    share=st.floats(0.01, 0.99),
)


@pytest.mark.parametrize(
    ("servers", "erlangs", "probability"),
    # Erlang C tables: 1 server gives the utilisation itself; 2 servers 2ρ²/(1+ρ); the others by the sum formula.
    [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (5, 4.0, 0.554113), (10, 8.0, 0.409180)],
)
def test_wait_probability_is_erlang_c(servers, erlangs, probability):
    """The recursion gives the table's values."""
    assert Queue(erlangs, 1.0, servers).wait_probability() == pytest.approx(probability, abs=1e-5)


@given(servers=st.integers(1, 30), share=st.floats(0.05, 0.95))
def test_wait_probability_is_the_sum_formula(servers, share):
    """The recursion equals the definition with factorials, where these do not overflow."""
    load = servers * share
    last = load**servers / math.factorial(servers) / (1 - share)
    expected = last / (sum(load**k / math.factorial(k) for k in range(servers)) + last)
    assert Queue(load, 1.0, servers).wait_probability() == pytest.approx(expected, rel=1e-9)


@settings(max_examples=30)
@given(QUEUES)
def test_time_distribution_is_one_and_has_the_mean(queue):
    """The share above a time falls from 1 to 0, and its integral is the mean time in the system."""
    mean_s = queue.mean_in_system() / queue.arrival_rps
    times = np.linspace(0, 1, 1001)[:-1]
    # Integrated over t = m·x/(1-x): the tail is long near full load.
    shares = np.array([queue.exceeds(mean_s * x / (1 - x)) for x in times])
    assert shares[0] == pytest.approx(1)
    assert np.all(np.diff(shares) <= 1e-12)
    assert np.all((shares >= -1e-12) & (shares <= 1 + 1e-12))
    integral = np.trapezoid(shares * mean_s / (1 - times) ** 2, times)
    assert integral == pytest.approx(mean_s, rel=0.01)


@given(QUEUES, st.floats(0.5, 0.999))
def test_percentile_is_the_inverse(queue, share):
    """Just that share of the requests is within the percentile."""
    assert queue.exceeds(queue.percentile_s(share)) == pytest.approx(1 - share, abs=1e-6)


@given(st.floats(0.1, 100), st.floats(0.05, 0.95), st.floats(0.5, 0.999))
def test_one_server_is_mm1(service_rps, share, percentile):
    """With one server the time in the system is exponential with rate μ − λ."""
    queue = Queue(service_rps * share, service_rps, 1)
    expected = -math.log(1 - percentile) / (service_rps - queue.arrival_rps)
    assert queue.percentile_s(percentile) == pytest.approx(expected, rel=1e-6)


def test_unstable_queue_has_no_answer():
    """At full load, and above, waiting never ends."""
    for arrivals in (5.0, 6.0):
        queue = Queue(arrivals, 1.0, 5)
        assert not queue.is_stable
        assert queue.wait_probability() == 1
        assert queue.mean_wait_s() == queue.percentile_s(0.99) == math.inf
        assert queue.exceeds(1e9) == 1


def test_exact_simulation_meets_the_closed_form():
    """Request by request: wait probability, mean wait and p95 are Erlang's, within four standard errors of ten runs."""
    queue = Queue(2.4, 1.0, 4)
    runs = [simulate_exactly(queue, length_s=1000, warm_s=100, seed=seed) for seed in range(10)]
    for measure, expected in (
        (lambda run: np.mean(np.array(run.waited_s) > 0), queue.wait_probability()),
        (lambda run: np.mean(run.waited_s), queue.mean_wait_s()),
        (lambda run: np.mean(np.array(run.took_s) > queue.percentile_s(0.95)), 0.05),
    ):
        values = [measure(run) for run in runs]
        error = np.std(values, ddof=1) / len(values) ** 0.5
        assert error < 0.1 * expected
        assert abs(np.mean(values) - expected) < 4 * error
