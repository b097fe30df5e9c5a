"""Answers in every shape and type; and read again, because our own answers are legal input."""

import csv
import io

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.errors import DeadlineExceeded
from absa_server.http.rendering import render
from absa_server.http.requests import Limits, ParsedRequest, RecordError, parse_request
from absa_server.types import Analysis, Aspect, GivenAspect, Parameters, Record

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
LIMITS = Limits(max_records=100, max_text_chars=1000, max_aspects=100)
TEXT = "😀 good food"
FOUND = Aspect("food", 7, 11, 0.987654321)
RATED = Aspect("food", 7, 11, 0.987654321, None, "POS", "positive", 0.75, {"positive": 0.75, "negative": 0.249951})
FOUND_JSON = {"term": "food", "start": 7, "end": 11, "score": 0.9877}
RATED_JSON = FOUND_JSON | {
    "polarity": "positive",
    "label": "POS",
    "polarity_score": 0.75,
    "scores": {"positive": 0.75, "negative": 0.25},
}
LATE = DeadlineExceeded("too late", retry_after_s=1)
LATE_JSON = {"code": 503, "type": "DeadlineExceeded", "message": "too late"}


def write(results, records, *, shape="list", media_type=JSON, parameters=Parameters(), aspect_only=False):  # noqa: B008
    request = ParsedRequest(shape, tuple(records), parameters, JSON)
    return render(results, request, media_type=media_type, text_by_default=aspect_only, repeat_parameters=aspect_only)


def answer(analysis, record, **options):
    """The one object of a single answer."""
    return orjson.loads(write([analysis], [record], shape="single", parameters=record.parameters, **options))


def test_rated_aspect_has_all_its_fields_in_order():
    """Offsets, score, polarity, label and probabilities, rounded to four digits."""
    assert answer(Analysis((RATED,)), Record(TEXT, 5)) == {"id": 5, "aspects": [RATED_JSON], "truncated": False}
    (aspect,) = answer(Analysis((RATED,)), Record(TEXT))["aspects"]
    assert list(aspect) == ["term", "start", "end", "score", "polarity", "label", "polarity_score", "scores"]


@pytest.mark.parametrize(
    ("aspect", "expected"),
    [
        (FOUND, FOUND_JSON),
        (Aspect("x", None, None), {"term": "x", "start": None, "end": None, "score": None}),
        (
            Aspect("food", 7, 11, 1.0, "Food", "B-Food"),
            FOUND_JSON | {"score": 1.0, "category": "Food", "label": "B-Food"},
        ),
    ],
)
def test_unrated_aspect_has_no_polarity(aspect, expected):
    """What nobody measured is null where it belongs to every aspect, and else left out."""
    assert answer(Analysis((aspect,)), Record(TEXT))["aspects"] == [expected]


def test_offsets_are_in_the_unit_that_was_asked_for():
    """In UTF-16 the emoji before the aspect takes two units."""
    (aspect,) = answer(Analysis((FOUND,)), Record(TEXT, parameters=Parameters(offsets="utf16")))["aspects"]
    encoded = TEXT.encode("utf-16-le")
    assert encoded[2 * aspect["start"] : 2 * aspect["end"]].decode("utf-16-le") == "food"


def test_truncated_is_told():
    """Whoever reads the answer learns that not all of the text was seen."""
    assert answer(Analysis((), truncated=True), Record(TEXT)) == {"aspects": [], "truncated": True}


@pytest.mark.parametrize(
    ("return_text", "mode", "aspect_only", "expected"),
    [
        (None, "chain", False, False),
        (None, "chain", True, True),
        (None, "aspects", True, True),
        (True, "chain", False, True),
        (True, "aspects", True, True),
        (False, "chain", False, False),
        (False, "aspects", True, False),
        (False, "chain", True, True),  # the next container cannot rate aspects without their text
    ],
)
def test_text_is_returned_where_it_is_wanted_or_needed(return_text, mode, aspect_only, expected):
    """By request, by default of an aspect-only model, and always by the first half of a chain."""
    record = Record(TEXT, parameters=Parameters(mode, return_text=return_text))
    assert ("text" in answer(Analysis(()), record, aspect_only=aspect_only)) is expected


def test_shape_follows_the_request():
    """A list of one stays a list, a single text is one object, and an empty list has no results."""
    results, records = [Analysis(())], [Record(TEXT)]
    empty = b'{"aspects":[],"truncated":false}'
    assert write(results, records, shape="single") == empty
    assert write(results, records) == b'{"results":[' + empty + b"]}"
    assert write(results, records, shape="lines") == b'{"results":[' + empty + b"]}"
    assert write([], []) == b'{"results":[]}'


@pytest.mark.parametrize("shape", ["single", "list", "lines"])
@pytest.mark.parametrize("media_type", [LINES, "application/x-ndjson", "application/x-jsonlines"])
def test_json_lines_are_one_line_a_record(shape, media_type):
    """Each ends with a newline, none holds one, and no record has none."""
    records = [Record("a\nb", parameters=Parameters(return_text=True))] * (1 if shape == "single" else 3)
    body = write([Analysis(())] * len(records), records, shape=shape, media_type=media_type)
    line = b'{"text":"a\\nb","aspects":[],"truncated":false}\n'
    assert body == line * len(records)


def test_errors_stand_in_their_places():
    """A record that could not be read, one that could not be answered, and one that was."""
    records = [RecordError("a", "bad"), Record(TEXT, 2), Record(TEXT)]
    results = [records[0], LATE, Analysis(())]
    bad = {"code": 400, "type": "InvalidRequest", "message": "bad"}
    expected = [{"id": "a", "error": bad}, {"id": 2, "error": LATE_JSON}, {"aspects": [], "truncated": False}]
    assert orjson.loads(write(results, records))["results"] == expected
    assert [orjson.loads(line) for line in write(results, records, media_type=LINES).splitlines()] == expected


def test_csv_is_one_row_a_record():
    """The aspects, or the error, as one JSON column; no header; no id column where no record has an id."""
    body = write([Analysis((RATED,)), LATE], [Record(TEXT), Record(TEXT)], media_type=CSV)
    assert body.count(b"\n") == 2
    rows = [[orjson.loads(cell) for cell in row] for row in csv.reader(io.StringIO(body.decode()))]
    assert rows == [[[RATED_JSON]], [{"error": LATE_JSON}]]


def test_csv_has_an_id_column_where_any_record_has_an_id():
    """The id of a record that has none is empty; numbers and booleans are as in JSON."""
    records = [Record("a", 'x,"'), Record("b"), Record("c", 1.5), Record("d", True), RecordError("e", "bad")]
    body = write([Analysis(())] * 4 + [records[4]], records, media_type=CSV, shape="single")
    assert [row[0] for row in csv.reader(io.StringIO(body.decode()))] == ['x,"', "", "1.5", "true", "e"]
    assert body.splitlines()[1] == b",[]"


@pytest.mark.parametrize("media_type", [JSON, LINES, CSV])
def test_each_record_needs_its_result(media_type):
    """A result too few is a fault of the caller, not a shorter answer."""
    with pytest.raises(ValueError, match=r"zip\(\)"):
        write([], [Record(TEXT)], media_type=media_type)


def test_parameters_are_repeated_once_where_that_is_enough():
    """Beside a list those of the request, in a result only what differs there; in lines and alone, all of them."""
    parameters = Parameters("aspects", 0.5)
    records = [Record("a", parameters=parameters), Record("b", parameters=Parameters(min_score=0.5))]
    results = [Analysis(())] * 2
    options = {"parameters": parameters, "aspect_only": True}
    body = orjson.loads(write(results, records, **options))
    assert body["parameters"] == {"mode": "aspects", "min_score": 0.5}
    assert [result.get("parameters") for result in body["results"]] == [None, {"mode": "chain"}]
    lines = [orjson.loads(line) for line in write(results, records, media_type=LINES, **options).splitlines()]
    assert [line["parameters"] for line in lines] == [{"mode": "aspects", "min_score": 0.5}, {"min_score": 0.5}]
    assert answer(results[0], records[0], aspect_only=True)["parameters"] == {"mode": "aspects", "min_score": 0.5}


def test_default_parameters_are_not_repeated():
    """Nor that the text was not wanted, nor anything by a model that ends its chain."""
    quiet, loud = Parameters(return_text=False), Parameters("aspects")
    assert b"parameters" not in write(
        [Analysis(())], [Record("a", parameters=quiet)], parameters=quiet, aspect_only=True
    )
    assert b"parameters" not in write([Analysis(())], [Record("a", parameters=loud)], parameters=loud)


texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("ab 😀é"), max_size=20).map("{}w".format)
parameters = st.builds(
    Parameters,
    mode=st.sampled_from(["chain", "aspects", "sentiment"]),
    min_score=st.floats(0, 1),
    offsets=st.sampled_from(["codepoint", "utf16"]),
    return_text=st.just(True),
)
ids = st.none() | st.booleans() | st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(2**63), 2**64 - 1)


@st.composite
def answered(draw, own_parameters):
    """A record of a request and what was found in it."""
    record = Record(draw(texts), draw(ids), parameters=draw(own_parameters), truncated=draw(st.booleans()))
    starts = draw(st.lists(st.integers(0, len(record.text) - 1), max_size=3))
    names = st.none() | st.sampled_from(["Food", "B-ASP"])
    aspects = [
        Aspect(record.text[start:], start, len(record.text), draw(st.none() | st.just(0.5)), draw(names), draw(names))
        for start in starts
    ]
    return record, Analysis((*aspects, Aspect("absent", None, None)), record.truncated)


def as_input(record, analysis):
    """The record that the next container must read."""
    aspects = tuple(GivenAspect(a.term, a.start, a.end, a.score, a.category, a.label) for a in analysis.aspects)
    return Record(record.text, record.id, aspects, record.truncated, record.parameters)


@given(st.lists(answered(parameters), max_size=4), parameters, st.sampled_from([JSON, LINES]))
def test_answers_are_read_again_as_they_were_meant(pairs, top, media_type):
    """The next container reads the same texts, ids, spans in any unit, extras and parameters."""
    records, results = [record for record, _ in pairs], [analysis for _, analysis in pairs]
    body = write(results, records, media_type=media_type, parameters=top, aspect_only=True)
    if body:
        again = parse_request(body, content_type=media_type, custom_attributes=None, limits=LIMITS)
        assert again.records == tuple(as_input(*pair) for pair in pairs)


@given(answered(parameters))
def test_single_answer_is_read_again_as_it_was_meant(pair):
    """One object is a single request, its parameters beside the text."""
    record, analysis = pair
    body = write([analysis], [record], shape="single", parameters=record.parameters, aspect_only=True)
    again = parse_request(body, content_type=JSON, custom_attributes=None, limits=LIMITS)
    assert again == ParsedRequest("single", (as_input(record, analysis),), record.parameters, JSON)


@pytest.mark.parametrize("media_type", [JSON, LINES])
def test_errors_of_an_answer_are_read_again_as_errors(media_type):
    """They pass through the next container unchanged."""
    body = write([LATE, LATE], [Record("a", 1), Record("b")], media_type=media_type)
    again = parse_request(body, content_type=media_type, custom_attributes=None, limits=LIMITS)
    late = {"message": "too late", "code": 503, "type": "DeadlineExceeded"}
    assert again.records == (RecordError(1, **late), RecordError(None, **late))
