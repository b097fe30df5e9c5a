"""Queries and bodies become one form; each limit on both sides."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_invoke.events import read_event
from absa_invoke.problems import Problem
from absa_invoke.requests import (
    MAX_BODY_BYTES,
    MAX_JOB_BYTES,
    MAX_QUERY_CHARS,
    read_analyze_body,
    read_job_body,
    read_query,
)
from absa_invoke.schemas import MAX_TEXTS, MAX_TEXTS_OF_A_JOB

from .proxy_events import make_event


def get(**query):
    event = make_event("GET", "/v1/analyze", "/v1/analyze")
    event["multiValueQueryStringParameters"] = {
        name: value if isinstance(value, list) else [value] for name, value in query.items()
    }
    return read_query(read_event(event))


def post(body, *, read=read_analyze_body, content_type="application/json", **headers):
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    pairs = [("Content-Type", content_type)] if content_type else []
    pairs += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return read(read_event(make_event("POST", "/v1/analyze", "/v1/analyze", headers=pairs, body=sent)))


def status_of(call, *arguments, **options):
    with pytest.raises(Problem) as caught:
        call(*arguments, **options)
    return caught.value.kind.status


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200),
    parameters=st.fixed_dictionaries(
        {},
        optional={
            "mode": st.sampled_from(["chain", "aspects", "sentiment"]),
            "min_score": st.floats(0, 1),
            "offsets": st.sampled_from(["codepoint", "utf16"]),
            "return_text": st.booleans(),
        },
    ),
)
def test_query_and_body_are_one_form(text, parameters):
    """What can be asked by GET is, by POST, the very same form."""
    query = {name: str(value).lower() if value in (True, False) else str(value) for name, value in parameters.items()}
    query |= {"min_score": repr(parameters["min_score"])} if "min_score" in parameters else {}
    body = {"text": text} | ({"parameters": parameters} if parameters else {})
    assert get(text=text, **query) == post(body)


def test_query_holds_2000_characters_and_not_one_more():
    """Counted once decoded: characters, not bytes."""
    assert get(text="好" * MAX_QUERY_CHARS).text == "好" * MAX_QUERY_CHARS
    assert status_of(get, text="a" * (MAX_QUERY_CHARS + 1)) == 414


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"text": ""},
        {"text": ["a", "b"]},
        {"text": "a", "lang": "en"},
        {"text": "a", "min_score": "1.1"},
        {"text": "a", "min_score": "nan"},
        {"text": "a", "min_score": "much"},
        {"text": "a", "min_score": ["0", "1"]},
        {"text": "a", "return_text": "1"},
        {"text": "a", "offsets": "bytes"},
        {"text": "a", "model": "a.zip"},
        {"text": "\ud800"},
    ],
)
def test_query_is_refused(query):
    """Unknown, repeated and impossible values are named, not passed over."""
    assert status_of(get, **query) == 400


@pytest.mark.parametrize(("read", "limit"), [(read_analyze_body, MAX_BODY_BYTES), (read_job_body, MAX_JOB_BYTES)])
def test_body_is_limited_in_bytes(read, limit):
    """Exactly the limit passes; a byte more is 413."""
    body = json.dumps({"text": "a" * (limit - len('{"text": ""}'))}).encode()
    assert len(body) == limit
    assert post(body, read=read).count == 1
    assert status_of(post, body[:-2] + b'a"}', read=read) == 413


@pytest.mark.parametrize(("read", "limit"), [(read_analyze_body, MAX_TEXTS), (read_job_body, MAX_TEXTS_OF_A_JOB)])
def test_reviews_are_counted(read, limit):
    """1 to 64 at once, 1 to 1,000 in a job."""
    assert post({"texts": ["a"] * limit}, read=read).count == limit
    assert status_of(post, {"texts": ["a"] * (limit + 1)}, read=read) == 400
    assert status_of(post, {"texts": []}, read=read) == 400


@pytest.mark.parametrize("content_type", ["", "application/json", "Application/JSON; charset=utf-8"])
def test_json_is_read(content_type):
    """With parameters, in any case, and when nothing is said."""
    assert post({"text": "a"}, content_type=content_type).text == "a"


def test_other_types_are_refused():
    """API Gateway validates no body whose type has no model, so it is looked at here."""
    assert status_of(post, b"a", content_type="text/plain") == 415
    assert status_of(post, {"text": "a"}, Content_Encoding="gzip") == 415


def test_what_was_sent_is_not_repeated():
    """A problem names the place and the rule; the text may be personal, and problems are logged by others."""
    with pytest.raises(Problem) as caught:
        post({"texts": [{"text": "secret words", "ids": 1}, {"text": ["secret words"]}]})
    assert "secret" not in caught.value.detail
    assert caught.value.detail.startswith("texts[0].ids: ")


def test_container_is_told_what_was_asked():
    """Its body has the texts as records and the parameters; the model is named beside it."""
    form = post({"texts": ["a", {"text": "b", "id": 7, "aspects": ["c"]}], "model": "m.tar.gz"})
    assert json.loads(form.for_container()) == {"texts": [{"text": "a"}, {"text": "b", "id": 7, "aspects": ["c"]}]}
