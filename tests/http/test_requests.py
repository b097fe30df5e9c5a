"""Bodies of every type: their shapes, the faults that refuse them as a whole, and the limit of records."""

import pickle

import orjson
import pytest

from absa_server.errors import InvalidRequest, UnsupportedMediaType
from absa_server.http.requests import Limits, RecordError, parse_request
from absa_server.types import GivenAspect, Parameters, Record

LIMITS = Limits(max_records=5, max_text_chars=100, max_aspects=3)
JSON, LINES, CSV, PLAIN = "application/json", "application/jsonlines", "text/csv", "text/plain"


def parse(body, content_type=JSON, *, attributes=None, limits=LIMITS):
    body = body if isinstance(body, bytes) else orjson.dumps(body)
    return parse_request(body, content_type=content_type, custom_attributes=attributes, limits=limits)


def refusal(body, content_type=JSON, **options):
    with pytest.raises(InvalidRequest) as caught:
        parse(body, content_type, **options)
    return caught.value.message


def texts(parsed):
    return [record.text if isinstance(record, Record) else record.message for record in parsed.records]


@pytest.mark.parametrize(
    ("body", "shape", "expected"),
    [
        ({"text": "a"}, "single", ["a"]),
        ({"inputs": "a"}, "single", ["a"]),
        ({"inputs": {"text": "a"}}, "single", ["a"]),
        ("a", "single", ["a"]),
        ({"texts": ["a"]}, "list", ["a"]),
        ({"texts": ["a", {"text": "b"}]}, "list", ["a", "b"]),
        ({"inputs": ["a"]}, "list", ["a"]),
        ({"instances": [{"text": "a"}, "b"]}, "list", ["a", "b"]),
        ({"results": [{"text": "a", "aspects": [], "truncated": True}]}, "list", ["a"]),
        (["a"], "list", ["a"]),
        ([{"text": "a"}, {"inputs": "b"}], "list", ["a", "b"]),
        ({"texts": []}, "list", []),
        ([], "list", []),
    ],
)
def test_json_shape_is_that_of_the_request_not_its_count(body, shape, expected):
    """Every accepted form of JSON gives its texts in order; a list, even of one or none, is a list."""
    parsed = parse(body)
    assert (parsed.shape, texts(parsed), parsed.media_type) == (shape, expected, JSON)


def test_body_without_content_type_is_json():
    """A client that sends no Content-Type is taken to send JSON."""
    assert texts(parse({"text": "a"}, None)) == ["a"]


def test_record_carries_its_fields():
    """id, aspects, truncated and the record's own parameters over the request's."""
    record = {"id": 7, "text": "good food", "aspects": ["food"], "truncated": True, "parameters": {"min_score": 0.5}}
    parsed = parse({"inputs": [record], "parameters": {"mode": "sentiment", "min_score": 0.1}})
    assert parsed.parameters == Parameters("sentiment", 0.1)
    assert parsed.records == (Record("good food", 7, (GivenAspect("food"),), True, Parameters("sentiment", 0.5)),)


def test_single_record_has_its_fields_beside_the_text():
    """`{"text": …}` is the record itself, its parameters those of the request."""
    parsed = parse({"text": "good food", "id": "x", "aspects": [], "parameters": {"offsets": "utf16"}})
    assert parsed.parameters == Parameters(offsets="utf16")
    assert parsed.records == (Record("good food", "x", (), False, Parameters(offsets="utf16")),)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "body: malformed JSON at column 2: unexpected end of data"),
        (b'\n\n{"text" 1}', "body: malformed JSON at line 3 column 9: unexpected character, expected ':' after key"),
        (b'"\xff"', "body: expected UTF-8, got an invalid sequence at byte 1"),
        (b'{"text": "\\ud800"}', "no low surrogate in string; a lone surrogate is no character"),
        (b"NaN", "body: malformed JSON"),
        (b"[" * 2000 + b"]" * 2000, "depth limit exceeded"),
        (b'{"text":' + b"[" * 100_000, "malformed JSON"),
        (b"", "body: expected application/json, got an empty body"),
        (b"\xef\xbb\xbf", "body: expected application/json, got an empty body"),
        (b"1", "body: expected an object, a list or a string, got a number"),
        (b"null", "body: expected an object, a list or a string, got null"),
        ({}, "body: expected text, texts, inputs, instances or results, got none of them"),
        ({"parameters": {}}, "body: expected text, texts, inputs, instances or results, got none of them"),
        ({"txt": "a"}, 'body: unknown name "txt"; did you mean text?'),
        ({"text": "a", "texts": ["a"]}, "body: expected only one of text, texts, inputs, instances or results, got"),
        ({"inputs": "a", "instances": []}, "got inputs and instances"),
        ({"texts": ["a"], "paramters": {}}, 'body: unknown name "paramters"; did you mean parameters?'),
        ({"text": "a", "ids": 1}, 'body: unknown name "ids"; did you mean id?'),
        ({"texts": "a"}, "texts: expected a list, got a string"),
        ({"inputs": 3}, "inputs: expected a list, got a number"),
        ({"results": {"text": "a"}}, "results: expected a list, got an object"),
        ({"text": None}, "text: expected a string, got null"),
        ({"text": ["a"]}, "text: expected a string, got a list"),
        ({"text": ""}, "text: expected a text, got an empty string"),
        ({"inputs": {"text": " \n"}}, "inputs.text: expected a text, got only white space"),
        ({"inputs": {"id": 1}}, "inputs.text: expected a string, got none"),
        ("", "body: expected a text, got an empty string"),
        ({"text": "a", "id": [1]}, "id: expected a string, a number, a boolean or null, got a list"),
        ({"text": "a", "id": 2.0**53}, "id: expected a number that passes through exactly, got a larger one"),
        (b'{"text": "a", "id": 18446744073709551616}', "id: expected a number that passes through exactly"),
        ({"text": "a", "truncated": "no"}, "truncated: expected a boolean, got a string"),
        ({"text": "a", "parameters": {"mdoe": 1}}, 'parameters: unknown name "mdoe"; did you mean mode?'),
        ({"texts": [], "parameters": {"min_score": 2}}, "parameters.min_score: expected a number from 0 to 1, got 2"),
        ({"inputs": {"error": {"code": 400, "type": "X", "message": "bad"}}}, "bad"),
    ],
)
def test_json_fault_is_refused_with_its_path(body, message):
    """What is wrong with the body, or with its only record, is refused as a whole and named."""
    assert message in refusal(body)


@pytest.mark.parametrize("name", ["texts", "inputs", "instances", "results"])
def test_bad_record_of_a_list_is_an_error_in_its_place(name):
    """The others are answered, the bad one and the error of an earlier answer keep their places."""
    earlier = {"id": 3, "error": {"code": 503, "type": "DeadlineExceeded", "message": "too late"}}
    assert parse({name: ["a", {"id": 2, "text": 1}, earlier, {"text": "d"}]}).records == (
        Record("a"),
        RecordError(2, f"{name}[1].text: expected a string, got a number"),
        RecordError(3, "too late", 503, "DeadlineExceeded"),
        Record("d"),
    )
    assert texts(parse([1])) == ["body[0]: expected a string or a record, got a number"]


@pytest.mark.parametrize("body", [{"texts": ["a"] * 5}, ["a"] * 5])
def test_as_many_records_as_the_limit_are_read(body):
    """The limit is inclusive."""
    assert len(parse(body).records) == 5


@pytest.mark.parametrize(
    ("body", "content_type", "path"),
    [
        (orjson.dumps({"texts": ["a"] * 6}), JSON, "texts"),
        (orjson.dumps(["a"] * 6), JSON, "body"),
        (b'"a"\n' * 6, LINES, "body"),
        (b"a\n" * 6, CSV, "body"),
        (b"text\n" + b"a\n" * 6, CSV, "body"),
    ],
)
def test_more_records_than_the_limit_are_refused(body, content_type, path):
    """One too many: the message names the variable and both numbers."""
    assert refusal(body, content_type) == f"{path}: expected at most 5 records (ABSA_MAX_RECORDS), got 6"


@pytest.mark.parametrize("body", [b'"a"\n' * 5, b'"a"\n' * 4 + b'"a"', b'\xef\xbb\xbf"a"\r\n' * 1 + b'"a"\r\n' * 4])
def test_as_many_lines_as_the_limit_are_read(body):
    """A newline at the end, or a BOM at the beginning, is no record."""
    assert texts(parse(body, LINES)) == ["a"] * 5


def test_text_of_just_the_limit_is_read():
    """The limit counts code points, not bytes."""
    assert texts(parse({"text": "😀" * 100})) == ["😀" * 100]
    assert "got 101" in refusal({"text": "😀" * 101})


def test_lines_are_answered_one_by_one():
    """Each line is a string or a record; a bad or blank one is an error in its place, under its number."""
    body = b'"a"\n{"text": "b", "id": 1, "parameters": {"mode": "aspects"}}\r\n\n{"text": }\n"\xff"\n'
    parsed = parse(body, "application/x-ndjson", attributes="min_score=0.5")
    assert (parsed.shape, parsed.media_type, parsed.parameters) == ("lines", LINES, Parameters(min_score=0.5))
    assert parsed.records[:2] == (
        Record("a", parameters=Parameters(min_score=0.5)),
        Record("b", 1, parameters=Parameters("aspects", 0.5)),
    )
    assert [record.message for record in parsed.records[2:]] == [
        "line 3: expected a record or a string, got a blank line",
        "line 4: malformed JSON at column 10: unexpected character, expected a JSON value",
        "line 5: expected UTF-8, got an invalid sequence at byte 1",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": ""}', "line 2: text: expected a text, got an empty string"),
        (b'{"texts": ["a"]}', 'line 2: unknown name "texts"; did you mean text?'),
        (b'{"text": "\\udc00"}', "line 2: malformed JSON at column 11: invalid high surrogate in string; a lone"),
        (b"[" * 1025 + b"]" * 1025, "line 2: malformed JSON"),
        (b"3", "line 2: expected a string or a record, got a number"),
    ],
)
def test_bad_line_names_its_number(line, message):
    """Paths in JSON Lines begin with the line."""
    _, error, after = parse(b'"a"\n' + line + b'\n"c"', LINES).records
    assert error.message.startswith(message)
    assert after == Record("c")


def test_only_one_newline_at_the_end_is_no_line():
    """A batch transform job expects as many answers as it sent lines."""
    assert len(parse(b'"a"\n\n', LINES).records) == 2
    assert len(parse(b"\n", LINES).records) == 1
    assert refusal(b"", LINES) == "body: expected application/jsonlines, got an empty body"


def test_hugging_face_lines_are_read():
    """`{"inputs": "…"}` is what Hugging Face's batch transform examples write."""
    assert texts(parse(b'{"inputs": "a"}\n{"inputs": "b"}', LINES)) == ["a", "b"]


def test_plain_text_is_one_text_as_it_stands():
    """Blanks and newlines belong to the text, so that offsets count from the body's first character."""
    parsed = parse(" läuft\n".encode(), "text/plain; charset=utf-8", attributes="mode=aspects")
    assert (parsed.shape, texts(parsed), parsed.media_type) == ("single", [" läuft\n"], PLAIN)
    assert parsed.records[0].parameters == Parameters(mode="aspects")
    assert refusal(b" \n", PLAIN) == "body: expected a text, got only white space or invisible characters"
    assert refusal(b"abc\xc3", PLAIN) == "body: expected UTF-8, got an invalid sequence at byte 3"


@pytest.mark.parametrize(
    "body", [b'\xef\xbb\xbf{"text": "a"}', b"\xef\xbb\xbfa", b'\xef\xbb\xbf"a"', b"\xef\xbb\xbfa\n"]
)
def test_byte_order_mark_is_dropped(body):
    """A UTF-8 BOM before any body is not part of it."""
    content_type = {123: JSON, 34: LINES}.get(body[3], CSV if body.endswith(b"\n") else PLAIN)
    assert texts(parse(body, content_type)) == ["a"]


@pytest.mark.parametrize("attributes", ["mode=aspects", "unknown=1", "id=abc;;="])
def test_custom_attributes_mean_nothing_beside_json(attributes):
    """JSON has a place for parameters, so there the header is the caller's own."""
    assert parse({"text": "a"}, attributes=attributes).parameters == Parameters()


@pytest.mark.parametrize("content_type", [LINES, CSV, PLAIN])
def test_custom_attributes_are_read_where_the_body_has_no_place(content_type):
    """Known ones are obeyed by every record, unknown ones refused."""
    parsed = parse(b'"a"', content_type, attributes="return_text=true")
    assert parsed.records[0].parameters == parsed.parameters == Parameters(return_text=True)
    assert 'unknown name "streams"' in refusal(b'"a"', content_type, attributes="streams=x")
    assert parse(b'"a"', content_type, attributes="model=x").parameters.model == "x"


def test_model_of_a_record_is_that_of_the_request_or_refused():
    """A single text names its model; in a list and in lines a record that names another one is refused in its place."""
    assert parse({"text": "a", "parameters": {"model": "m"}}).parameters.model == "m"
    other, same = [{"text": "a", "parameters": {"model": name}} for name in "nm"]
    listed = parse({"texts": [other, same, "a"], "parameters": {"model": "m"}}).records
    lines = parse(b"".join(orjson.dumps(one) + b"\n" for one in (other, same)), LINES, attributes="model=m")
    for refused, accepted in (listed[:2], lines.records):
        assert "expected no model of its own" in refused.message
        assert accepted.parameters.model == "m"


def test_unread_media_type_is_refused_before_the_body():
    """The Content-Type decides first."""
    with pytest.raises(UnsupportedMediaType):
        parse(b"", "application/octet-stream")


def test_parsed_request_can_be_pickled():
    """It crosses from the child process that parses large bodies."""
    parsed = parse({"inputs": [{"text": "a", "aspects": [{"term": "x"}]}, 1]})
    assert pickle.loads(pickle.dumps(parsed)) == parsed
