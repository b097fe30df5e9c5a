"""Property-based: whatever a body or its headers hold, it is answered or refused in the documented way."""

from contextlib import suppress

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from absa_server.errors import InvalidRequest
from absa_server.http.requests import Limits, ParsedRequest, RecordError, parse_request
from absa_server.types import Record

LIMITS = Limits(max_records=5, max_text_chars=100, max_aspects=3)
JSON, LINES, CSV, PLAIN = "application/json", "application/jsonlines", "text/csv", "text/plain"

names = st.sampled_from(
    [
        "text",
        "texts",
        "inputs",
        "instances",
        "results",
        "id",
        "aspects",
        "parameters",
        "truncated",
        "error",
        "term",
        "start",
        "end",
        "score",
        "scores",
        "mode",
        "offsets",
        "min_score",
        "code",
        "type",
        "message",
    ]
)
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=9) | names
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(names | st.text(max_size=3), inner),
    max_leaves=25,
)
content_types = st.sampled_from([None, JSON, LINES, CSV, "text/csv;header=present", "text/csv;header=absent", PLAIN])
fragments = st.sampled_from(
    [
        b'"',
        b"\n",
        b"\r",
        b",",
        b'{"text":',
        b"text",
        b"id",
        b"}",
        b"[",
        b"\xff",
        b"\xed\xa0\x80",
        b"\x00",
        b"a",
        b"\\ud800",
    ]
)


def answered(body, content_type, attributes=None):
    """The parsed request, or None if it was refused in the way that is documented."""
    with suppress(InvalidRequest):
        parsed = parse_request(body, content_type=content_type, custom_attributes=attributes, limits=LIMITS)
        assert isinstance(parsed, ParsedRequest)
        assert len(parsed.records) <= LIMITS.max_records
        assert all(isinstance(record, Record | RecordError) for record in parsed.records)
        return parsed
    return None


@settings(max_examples=500)
@given(values)
def test_any_json_value_is_answered_or_refused(value):
    """No JSON value raises anything but `InvalidRequest`."""
    answered(orjson.dumps(value), JSON)


@given(st.lists(values, min_size=1, max_size=5))
def test_any_json_lines_give_one_record_a_line(lines):
    """However bad its lines are, a body of lines is answered line by line."""
    parsed = answered(b"\n".join(orjson.dumps(line) for line in lines), LINES)
    assert len(parsed.records) == len(lines)


@settings(max_examples=500)
@given(st.binary() | st.lists(fragments).map(b"".join), content_types, st.none() | st.text("mode=chain;", max_size=20))
def test_any_bytes_are_answered_or_refused(body, content_type, attributes):
    """No body of any type raises anything but `InvalidRequest` and its kind."""
    answered(body, content_type, attributes)
