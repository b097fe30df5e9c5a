"""Tries: which failures are tried again, how often, how long between, and never past the budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_invoke.budgets import CONNECT_S, TimeBudget
from absa_invoke.failures import CallFailed, Failure
from absa_invoke.retries import Retries

BUSY = Failure("ServiceUnavailable")


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self):
        self.now = 0.0
        self.pauses = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


def failing(failures, clock=None, takes_s=0.0):
    """A call that fails so often, then answers; each failure takes some time."""
    waiting = list(failures)

    def call(read_timeout_s):
        if waiting:
            if clock:
                clock.now += min(takes_s, CONNECT_S + read_timeout_s)
            raise CallFailed(waiting.pop(0))
        return "answer"

    return call


def test_first_answer_needs_one_try(budget):
    """Nothing is waited for."""
    assert Retries(sleep=pytest.fail).run(failing([]), budget) == ("answer", 1)


def test_transient_failures_are_tried_again():
    """Twice, after pauses drawn from bounds that double."""
    clock = Clock()
    retries = Retries(sleep=clock.sleep, draw=lambda low, high: high)
    assert retries.run(failing([BUSY, BUSY]), TimeBudget(26.0, clock)) == ("answer", 3)
    assert clock.pauses == [0.2, 0.4]


def test_third_failure_is_the_last(budget):
    """Three tries, and the failure says so."""
    with pytest.raises(CallFailed) as caught:
        Retries(sleep=lambda _: None).run(failing([BUSY] * 4), budget)
    assert (caught.value.failure, caught.value.tries) == (BUSY, 3)


@pytest.mark.parametrize("code", ["ModelError", "ReadTimeout", "ConnectionDropped", "ValidationError", "Anything"])
def test_other_failures_are_not_tried_again(budget, code):
    """The request may have been worked on, or would fail again."""
    with pytest.raises(CallFailed) as caught:
        Retries(sleep=pytest.fail).run(failing([Failure(code, original_status=503)]), budget)
    assert caught.value.tries == 1


def test_no_time_is_no_try():
    """A function that is nearly over does not begin what it cannot end."""
    with pytest.raises(CallFailed) as caught:
        Retries().run(pytest.fail, TimeBudget(1.9, clock=lambda: 0.0))
    assert (caught.value.failure.code, caught.value.tries) == ("OutOfTime", 0)


@given(
    total_s=st.floats(0, 30),
    takes_s=st.floats(0, 30),
    draws=st.lists(st.floats(0, 1), min_size=10, max_size=10),
    tries=st.integers(1, 9),
)
def test_budget_is_never_exceeded(total_s, takes_s, draws, tries):
    """Whatever the failures take and whatever is drawn: all tries and pauses end inside the budget."""
    clock = Clock()
    retries = Retries(tries, sleep=clock.sleep, draw=lambda low, high: low + (high - low) * draws.pop())
    with pytest.raises(CallFailed):
        retries.run(failing([BUSY] * 20, clock, takes_s), TimeBudget(total_s, clock))
    assert clock.now <= total_s + 1e-6
