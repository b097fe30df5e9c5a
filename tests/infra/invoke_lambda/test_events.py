"""Proxy events read: whatever API Gateway may send, and whatever it may not."""

import json
from contextlib import suppress
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_invoke.events import Call, read_event, request_id_of
from absa_invoke.problems import Problem

from .proxy_events import make_event

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
FIELDS = (
    "resource",
    "path",
    "httpMethod",
    "headers",
    "multiValueHeaders",
    "queryStringParameters",
    "multiValueQueryStringParameters",
    "pathParameters",
    "body",
    "isBase64Encoded",
    "requestContext",
)


def read(method="GET", resource="/v1/analyze", **given) -> Call:
    event = make_event(method, resource, resource, **given)
    return read_event(json.loads(json.dumps(event)))


@given(text=TEXTS)
def test_text_of_a_query_arrives_as_it_was(text):
    """Every Unicode text, percent-encoded in either way, is the value that the function sees."""
    assert read(raw_query=urlencode({"text": text})).query == {"text": (text,)}
    assert read(raw_query=f"text={quote(text, safe='')}").query == {"text": (text,)}


@given(pairs=st.lists(st.tuples(NAMES, TEXTS)))
def test_repeated_names_keep_all_their_values(pairs):
    """multiValueQueryStringParameters is what counts: queryStringParameters has the last value only."""
    wanted: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        wanted[name] = (*wanted.get(name, ()), value)
    assert read(raw_query=urlencode(pairs)).query == wanted


@given(body=st.binary())
def test_base64_is_decoded(body):
    """An API that takes binary bodies hands them over as base64."""
    assert read("POST", body=body, is_binary=True).body == body


@given(text=TEXTS)
def test_both_kinds_of_body_are_one(text):
    """A text body is the same bytes, whether it came as base64 or as it is."""
    body = text.encode()
    assert read("POST", body=body).body == read("POST", body=body, is_binary=True).body == body


@given(event=JSON_VALUES | st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES))
def test_junk_is_a_problem_and_nothing_else(event):
    """No event, of whatever form, ends the function."""
    assert isinstance(request_id_of(event), str)
    with suppress(Problem):
        assert isinstance(read_event(event), Call)


@given(absent=st.sets(st.sampled_from(FIELDS)), empty=st.sets(st.sampled_from(FIELDS)))
def test_what_is_null_or_absent_is_empty(absent, empty):
    """API Gateway writes null for what there is none of; test tools leave it out."""
    event = make_event("POST", "/v1/analyze", "/v1/analyze", raw_query="a=1", headers=[("A", "b")], body=b"{}")
    needed = {"resource", "httpMethod"}
    kept = {name: value for name, value in event.items() if name not in absent - needed}
    kept |= dict.fromkeys((empty & set(kept)) - needed - {"path", "requestContext"})
    call = read_event(kept)
    assert (call.method, call.resource) == ("POST", "/v1/analyze")
    assert call.body == (b"{}" if kept.get("body") is not None and not kept.get("isBase64Encoded") else b"")


def test_headers_are_found_in_any_case():
    """The last of a repeated header counts, by its name in lower case."""
    call = read(headers=[("IF-None-Match", "a"), ("If-None-Match", "b")])
    assert call.headers["if-none-match"] == "b"


def test_path_has_the_stage():
    """So that Location leads back through the same door; a base path of a custom domain would be there, too."""
    assert read(resource="/v1/jobs").path == "/live/v1/jobs"


@pytest.mark.parametrize("body", ["a", "%%%", "\u00e4\u00e4\u00e4\u00e4", "abc"])
def test_bad_base64_is_refused(body):
    """What says that it is base64 and is not is the caller's problem."""
    event = make_event("POST", "/v1/analyze", "/v1/analyze") | {"body": body, "isBase64Encoded": True}
    with pytest.raises(Problem, match="base64"):
        read_event(event)
