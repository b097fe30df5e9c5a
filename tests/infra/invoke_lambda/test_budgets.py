"""Time: from the function's remaining time to the timeout of a try."""

import pytest

from absa_invoke.budgets import CONNECT_S, MAX_TRIES_S, READ_TIMEOUTS_S, budget_of

from .function_environment import properties
from .gateway import read_openapi


def test_each_limit_lies_inside_the_one_around_it():
    """API Gateway 29 s > function 28 s > tries 26 s > one try; as the template and the document have them."""
    operations = [one for path in read_openapi()["paths"].values() for one in path.values()]
    gateway_ms = {one["x-amazon-apigateway-integration"]["timeoutInMillis"] for one in operations}
    function_s = properties()["Timeout"]
    assert gateway_ms == {29_000}
    assert 29 > function_s > MAX_TRIES_S > CONNECT_S + READ_TIMEOUTS_S[0]


@pytest.mark.parametrize(
    ("remaining_ms", "timeout_s"),
    [
        (900_000, 24.0),
        (28_000, 24.0),
        (27_000, 24.0),
        (26_999, 12.0),
        (5_000, 1.0),
        (4_000, 1.0),
        (3_999, None),
        (0, None),
    ],
)
def test_try_ends_before_the_function_does(remaining_ms, timeout_s):
    """The longest timeout that fits, or none; 2 s are kept for the answer."""
    assert budget_of(remaining_ms, clock=lambda: 100.0).read_timeout_s() == timeout_s


def test_pause_is_part_of_the_budget():
    """A try after a pause has less time."""
    budget = budget_of(28_000, clock=lambda: 0.0)
    assert budget.read_timeout_s(after_s=2.0) == 12.0
    assert budget.read_timeout_s(after_s=25.0) is None
