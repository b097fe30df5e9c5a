"""The order of cells and the verdicts, over a server that is a formula: it answers in 100 ms up to its limit."""

import itertools

import numpy as np
import pytest

from absa_server.benchmark.cells import summarise
from absa_server.benchmark.load import Trace
from absa_server.benchmark.session import Plan, Session
from absa_server.benchmark.texts import Target

TARGET = Target("h", 1, "/")


class Told:
    """An observer that keeps what it hears."""

    def __init__(self):
        self.begun, self.cells = [], []

    def begin(self, what, expected_s):
        self.begun.append(what)

    def done(self, cell):
        self.cells.append(cell)


def session(plan, *, limit_rps, long_limit_rps=None, status=200):
    """A session whose server answers within 100 ms up to `limit_rps` (in long windows another), and after 5 s above."""

    def run(job):
        rate = job.rate_rps or 50.0
        limit = long_limit_rps if long_limit_rps and job.seconds > plan.seconds else limit_rps
        start = np.arange(0, job.seconds, 1 / rate)
        took = 0.1 if rate <= limit else 5.0
        return Trace(start, start, start + took, np.full(len(start), status), 0.1, job.seconds, False)

    def to_cell(job, trace, purpose, usage):
        return summarise(job, trace, purpose=purpose, texts_per_request=1, usage=usage)

    return Session(plan=plan, run=run, summarise=to_cell, watch=None, observer=Told())


def test_knee_is_found_confirmed_and_bounded():
    """The knee is within the tolerance of the true limit; every cell was told."""
    one = session(Plan(TARGET, concurrencies=(1,), slos_ms=(1000.0,)), limit_rps=80)
    knee = one.measure()[0]
    assert 80 / 1.05 <= knee.max_rps <= 80
    assert knee.is_confirmed
    assert knee.is_bounded
    assert knee.mean_ms == pytest.approx(100)
    assert one.observer.cells == one.cells
    assert one.observer.begun[0] == "warm-up"


def test_knee_steps_down_when_it_does_not_hold_for_long():
    """A rate that only short windows forgive is lowered until a long one passes."""
    knee = session(Plan(TARGET), limit_rps=80, long_limit_rps=75).measure()[0]
    assert knee.max_rps <= 75
    assert knee.is_confirmed


def test_unconfirmed_knee_says_so():
    """A rate that never holds for long is reported, and marked."""
    knee = session(Plan(TARGET), limit_rps=80, long_limit_rps=10).measure()[0]
    assert not knee.is_confirmed
    assert knee.max_rps is not None


def test_no_knee_when_every_answer_is_an_error():
    """Refusals are no service, however fast."""
    knee = session(Plan(TARGET), limit_rps=80, status=429).measure()[0]
    assert knee.max_rps is None
    assert knee.p99_ms is None


def test_every_limit_has_its_own_knee():
    """Two limits of p99 are two searches."""
    knees = session(Plan(TARGET, slos_ms=(50.0, 1000.0)), limit_rps=80).measure()
    assert knees[0].max_rps is None
    assert knees[1].max_rps is not None


def test_search_ends_when_time_is_up(monkeypatch):
    """Out of time no further cell is measured."""
    clock = itertools.count()
    monkeypatch.setattr("absa_server.benchmark.session.time.monotonic", lambda: float(next(clock)))
    one = session(Plan(TARGET, concurrencies=(1, 8), max_total_s=3.0), limit_rps=80)
    knee = one.measure()[0]
    assert len([cell for cell in one.cells if cell.purpose == "search"]) <= 3
    assert not knee.is_confirmed


def test_rounds_repeat_each_point():
    """Rounds go around all points, so that a noisy spell does not fall on one."""
    one = session(Plan(TARGET, concurrencies=(1, 8), rates_rps=(5.0,), rounds=2, slos_ms=()), limit_rps=80)
    assert one.measure() == []
    assert [cell.concurrency for cell in one.cells] == [1, 8, 1, 8, None, None]
