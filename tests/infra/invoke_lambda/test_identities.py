"""Ids on their way to the containers."""

import pytest

from absa_invoke.events import read_event
from absa_invoke.identities import read_identity
from absa_invoke.problems import Problem

from .proxy_events import make_event

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


def identity(**headers):
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return read_identity(read_event(make_event("POST", "/v1/analyze", "/v1/analyze", headers=pairs, request_id="r-1")))


def test_request_is_known_by_the_gateways_id():
    """To SageMaker and to the containers."""
    assert (identity().inference_id, identity().custom_attributes) == ("r-1", "r-1")


@pytest.mark.parametrize("key", ["order-17", '"order-17"'])
def test_key_is_the_inference_id(key):
    """With or without the quotes that the draft asks for; the request's own id goes along."""
    found = identity(Idempotency_Key=key)
    assert (found.inference_id, found.custom_attributes) == ("order-17", "r-1")


@pytest.mark.parametrize("key", ["", '""', "a b", "a" * 65, "ä", "a=b", "a\n"])
def test_bad_key_is_refused(key):
    """64 characters fit, 65 do not, and none that a name of an object should not have."""
    with pytest.raises(Problem, match="Idempotency-Key"):
        identity(Idempotency_Key=key)


def test_longest_key_fits():
    """InferenceId's own limit."""
    assert identity(Idempotency_Key="a" * 64).inference_id == "a" * 64


def test_trace_goes_along():
    """A W3C one; anything else is left behind, since a `=` would be read as a parameter."""
    assert identity(traceparent=TRACE).custom_attributes == f"r-1 {TRACE}"
    assert identity(traceparent="a=b").custom_attributes == "r-1"
