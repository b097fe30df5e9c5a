"""The search for the highest good rate, on thresholds that are known."""

from hypothesis import given
from hypothesis import strategies as st

from absa_server.benchmark.knee import confirm, find_bracket


@given(threshold=st.floats(1, 5000), start=st.floats(1, 5000))
def test_bracket_holds_the_threshold(threshold, start):
    """Whatever the start, the true limit lies between the two ends, and these are as close as asked."""
    tried = []
    found = find_bracket(
        lambda rate: tried.append(rate) or rate <= threshold, start_rps=start, min_rps=0.01, max_rates=60
    )
    assert found.passed_rps <= threshold < found.failed_rps
    assert found.is_within(0.05)
    assert len(tried) == len(set(tried))


@given(answers=st.lists(st.booleans(), min_size=12, max_size=12), start=st.floats(1, 1000))
def test_bracket_is_consistent_under_noise(answers, start):
    """However the trials come out, their number is bounded and the passed rate is below the failed one."""
    told = iter(answers)
    found = find_bracket(lambda _: next(told), start_rps=start, min_rps=0.001, max_rates=12)
    if found.passed_rps is not None and found.failed_rps is not None:
        assert found.passed_rps < found.failed_rps


def test_search_ends_at_the_lowest_rate_worth_trying():
    """A server that never meets the limit is not asked ever more slowly."""
    tried = []
    found = find_bracket(lambda rate: bool(tried.append(rate)), start_rps=8.0, min_rps=2.0)
    assert tried == [8.0, 4.0, 2.0]
    assert found.passed_rps is None


def test_confirmation_steps_down_and_gives_up():
    """A rate that does not hold for long is lowered a little, a few times; then it is not confirmed."""
    assert confirm(lambda rate: rate < 96, 100.0) == 95.0
    assert confirm(lambda rate: rate < 50, 100.0) is None
