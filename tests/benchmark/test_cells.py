"""The arithmetic from a trace to a cell, on traces written by hand."""

import numpy as np
import pytest

from absa_server.benchmark.cells import Cell, summarise
from absa_server.benchmark.load import Job, Trace
from absa_server.benchmark.process_tree import Usage
from absa_server.benchmark.texts import Target

INF = float("inf")


def cell(rows, *, seconds=10.0, texts=1, usage=None, cpu_s=0.0) -> Cell:
    """The cell of rows (intended, sent, done, status)."""
    columns = np.array(rows, dtype=float).reshape(-1, 4).T
    trace = Trace(columns[0], columns[1], columns[2], columns[3].astype(np.int64), cpu_s, 10.0, False)
    job = Job(target=Target("h", 1, "/"), lead_in_s=0, seconds=seconds, drain_s=1, rate_rps=1.0)
    return summarise(job, trace, purpose="test", texts_per_request=texts, usage=usage)


def test_latency_counts_from_the_intended_moment():
    """A request sent 2 s late and answered after 1 s took 3 s: no coordinated omission."""
    assert cell([(1, 3, 4, 200)]).p50_ms == pytest.approx(3000)


def test_latency_counts_from_the_sending_when_it_was_early():
    """A timer that fires early must not make the server look faster."""
    assert cell([(1.0005, 1.0, 1.01, 200)]).p50_ms == pytest.approx(10)


def test_lead_in_and_what_follows_the_window_do_not_count():
    """Latency is of requests meant for the window; throughput of answers that came in it."""
    found = cell([(-1, -1, 0.5, 200), (9, 9, 11, 200), (10, 10, 10.5, 200)])
    assert found.requests == 1
    assert found.max_ms == pytest.approx(2000)
    assert found.throughput_rps == pytest.approx(0.1)  # the one of the lead-in


def test_percentiles_are_latencies_that_were_seen():
    """Nearest rank: p50 of 1…100 is 50, p99 is 99, the maximum 100."""
    found = cell([(0, 0, ms / 1000, 200) for ms in range(1, 101)])
    assert [found.p50_ms, found.p95_ms, found.p99_ms, found.max_ms] == pytest.approx([50, 95, 99, 100])


def test_errors_are_named_and_shared():
    """Each kind of failure is counted by its name, and is not a latency."""
    found = cell([(1, 1, 2, 200), (1, 1, 2, 429), (1, 1, 2, 0), (1, 1, INF, -1)])
    assert found.errors == {"unanswered": 1, "connection": 1, "429": 1}
    assert found.error_share == pytest.approx(0.75)
    assert found.max_ms == pytest.approx(1000)


def test_in_flight_is_littles_law():
    """Two requests of 5 s in 10 s are one request under way on average; the unanswered one counts to the end."""
    assert cell([(0, 0, 5, 200), (2, 2, 7, 200)]).in_flight == pytest.approx(1)
    assert cell([(5, 5, INF, -1)]).in_flight == pytest.approx(0.5)


def test_nothing_answered_has_no_latency():
    """Without an answer there is no number, not a zero."""
    found = cell([(1, 1, INF, -1)], usage=Usage(1, 10))
    assert (found.p50_ms, found.p99_ms, found.mean_ms) == (None, None, None)
    assert found.server_cpu_s_per_1000_texts is None


def test_server_cost_counts_every_text_that_was_answered():
    """The server worked for the lead-in as well, so its texts count too."""
    found = cell([(-1, -1, -0.5, 200), (1, 1, 2, 200)], texts=5, usage=Usage(cpu_s=0.1, wall_s=10))
    assert found.server_cpu_s_per_1000_texts == pytest.approx(10)
    assert found.server_cores == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("late_s", "cpu_s", "is_limited"), [(0.0199, 8, False), (0.0201, 1, True), (0, 8.01, True), (0, 0, False)]
)
def test_busy_or_late_generator_is_told(late_s, cpu_s, is_limited):
    """Above 80 % of a core, or sending 20 ms late, the generator may have measured itself."""
    assert cell([(1, 1 + late_s, 2, 200)], cpu_s=cpu_s).is_generator_limited == is_limited
