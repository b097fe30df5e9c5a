"""The gateway of these tests, and the check of answers: both must be able to say no."""

import json

import pytest

from .conformance import Conformance
from .gateway import Context, Gateway

SIGNED = [("Authorization", "any"), ("Content-Type", "application/json")]
RIGHT = {"statusCode": 200, "headers": {"A": "b"}, "body": "{}"}


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {},
        {"statusCode": "200"},
        {"statusCode": 200, "body": {}},
        {"statusCode": 200, "headers": {"Retry-After": 1}, "body": ""},
    ],
)
def test_malformed_answer_is_a_502(wrong):
    """As API Gateway has it."""
    assert Gateway(lambda *_: RIGHT).respond("GET", "/live/v1/version", SIGNED, b"").status == 200
    assert Gateway(lambda *_: wrong).respond("GET", "/live/v1/version", SIGNED, b"").status == 502


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/live/v1/analyze", b"", 400),
        ("GET", "/live/v1/analyze?text=", b"", 400),
        ("GET", "/live/v1/analyze?text=a", b"", 200),
        ("POST", "/live/v1/analyze", b"{}", 400),
        ("POST", "/live/v1/analyze", b"{", 400),
        ("POST", "/live/v1/analyze", b'{"text": "a"}', 200),
        ("POST", "/live/v1/analyze", b"x" * (10 * 1024 * 1024 + 1), 413),
    ],
)
def test_validators_refuse_before_the_function(method, target, body, status):
    """A GET's required parameter and a body's schema; problems both."""
    response = Gateway(lambda *_: RIGHT).respond(method, target, SIGNED, body)
    assert response.status == status
    if status != 200:
        assert response.headers["content-type"] == "application/problem+json"
        assert json.loads(response.body)["request_id"]


def test_resource_is_the_matched_path():
    """The function is told the path's pattern, and decoded parameters."""
    events = []
    gateway = Gateway(lambda event, _: events.append(event) or RIGHT)
    for target in ("/live/v1/results/a%20b", "/live/v2", "/live"):
        gateway.respond("GET", target, SIGNED, b"")
    assert [event["resource"] for event in events] == ["/v1/results/{id}", "/{proxy+}", "/{proxy+}"]
    assert events[0]["pathParameters"] == {"id": "a b"}


def test_context_counts_down():
    """To zero, never below."""
    assert 0 < Context(28.0).get_remaining_time_in_millis() <= 28_000
    assert Context(28.0, begin_s=-1e9).get_remaining_time_in_millis() == 0


PROBLEM = b'{"type": "a", "title": "b", "status": 400, "request_id": "c"}'
PROBLEM_TYPE = {"content-type": "application/problem+json"}


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (418, PROBLEM_TYPE, PROBLEM),
        (404, PROBLEM_TYPE, PROBLEM),
        (400, {"content-type": "application/json"}, PROBLEM),
        (400, PROBLEM_TYPE, b"{}"),
        (429, PROBLEM_TYPE, PROBLEM.replace(b"400", b"429")),
        (304, {"etag": "a", "cache-control": "b"}, b"x"),
    ],
)
def test_wrong_answer_is_complained_of(status, headers, body):
    """A status that is not documented or not the body's, a type, a schema, a missing header, a body where none is."""
    conformance = Conformance()
    assert conformance.complaints("GET", "/v1/analyze?text=a", status, headers, body) != []
    assert conformance.complaints("GET", "/v1/analyze", 400, PROBLEM_TYPE, PROBLEM) == []
    assert ("/v1/analyze", "get", "400") not in conformance.unseen()
