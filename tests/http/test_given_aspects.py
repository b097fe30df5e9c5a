import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.errors import InvalidRequest
from absa_server.http.given_aspects import is_blank, parse_aspects
from absa_server.http.limits import Limits
from absa_server.http.offset_units import Utf16Index
from absa_server.types import GivenAspect

TEXT = "Great food 😀, slow  staff"
UTF16_LENGTH = len(TEXT) + 1


def parse(value, *, text=TEXT, unit="codepoint", max_aspects=100):
    return parse_aspects(value, text=text, unit=unit, path="aspects", limits=Limits(1, 1000, max_aspects))


def refusal(value, **options):
    with pytest.raises(InvalidRequest) as caught:
        parse(value, **options)
    return caught.value.message


@pytest.mark.parametrize(("value", "expected"), [(None, None), ([], ())])
def test_no_aspects_are_not_the_same_as_none_given(value, expected):
    """null asks for them to be found, an empty list for exactly none."""
    assert parse(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("food", GivenAspect("food")),
        (" absent ", GivenAspect(" absent ")),
        ({"term": "food"}, GivenAspect("food")),
        ({"term": "food", "start": None, "end": None, "score": 1}, GivenAspect("food", score=1)),
        ({"start": 6, "end": 10}, GivenAspect(None, 6, 10)),
        ({"start": 0, "end": len(TEXT)}, GivenAspect(None, 0, len(TEXT))),
        (
            {"term": "food", "start": 6, "end": 10, "score": 0.5, "category": "Food", "label": "B-ASP"},
            GivenAspect("food", 6, 10, 0.5, "Food", "B-ASP"),
        ),
        (
            {
                "term": "food",
                "polarity": "positive",
                "polarity_score": 0.9,
                "scores": {"positive": 0.9},
                "label": "pos",
            },
            GivenAspect("food", label="pos"),
        ),
    ],
)
def test_aspect_is_a_term_or_a_span(value, expected):
    """What an earlier answer knew passes through, but for polarities, which are computed again."""
    assert parse([value]) == (expected,)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, ": expected a term or an object, got a number"),
        (None, ": expected a term or an object, got null"),
        ([6, 10], ": expected a term or an object, got a list"),
        ("", ": expected a word to look for, got an empty string or only white space"),
        ({"term": " "}, ".term: expected a word to look for, got an empty string or only white space"),
        ({"term": 3}, ".term: expected a string, got a number"),
        ({}, ": expected a term, or start and end, got neither"),
        ({"score": 1}, ": expected a term, or start and end, got neither"),
        ({"start": 6}, ".end: expected a whole number, as start and end go together, got null"),
        ({"term": "food", "end": 6}, ".start: expected a whole number, as start and end go together, got null"),
        ({"start": 6.0, "end": 10}, ".start: expected a whole number, as start and end go together, got 6.0"),
        ({"start": False, "end": 10}, ".start: expected a whole number, as start and end go together, got false"),
        ({"start": 6, "end": "10"}, '.end: expected a whole number, as start and end go together, got "10"'),
        ({"start": -1, "end": 4}, ".start: expected 0 to 24, inside the text, got -1"),
        ({"start": 25, "end": 26}, ".start: expected 0 to 24, inside the text, got 25"),
        ({"start": 6, "end": 26}, ".end: expected 7 to 25, behind start and in the text, got 26"),
        ({"start": 6, "end": 6}, ".end: expected 7 to 25, behind start and in the text, got 6"),
        ({"start": 18, "end": 20}, ": expected a span with a word in it, got only white space"),
        ({"start": 6, "end": 10, "stop": 1}, ': unknown name "stop"; '),
        ({"term": "food", "score": "high"}, ".score: expected a number, got a string"),
        ({"term": "food", "score": True}, ".score: expected a number, got a boolean"),
        ({"term": "food", "category": 3}, ".category: expected a string, got a number"),
        ({"term": "food", "label": {}}, ".label: expected a string, got an object"),
    ],
)
def test_faulty_aspect_is_refused_with_its_path(value, message):
    """The path leads to the second of two aspects, and to its field."""
    assert refusal(["food", value]).startswith(f"aspects[1]{message}")


def test_aspects_are_counted():
    """The limit is inclusive, and its refusal names the variable and both numbers."""
    assert len(parse(["food"] * 3, max_aspects=3)) == 3
    assert refusal(["food"] * 4, max_aspects=3) == "aspects: expected at most 3 aspects (ABSA_MAX_ASPECTS), got 4"


def test_utf16_offsets_are_read_as_code_points():
    """The emoji before "slow" takes two code units and is one code point."""
    assert parse([{"start": 15, "end": 19}], unit="utf16") == (GivenAspect(None, 14, 18),)
    assert parse([{"start": 11, "end": 13}], unit="utf16") == (GivenAspect(None, 11, 12),)
    assert parse([{"start": 0, "end": UTF16_LENGTH}], unit="utf16") == (GivenAspect(None, 0, len(TEXT)),)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (12, 14, "aspects[0].start: expected the border of a character, got 12, inside a surrogate pair"),
        (6, 12, "aspects[0].end: expected the border of a character, got 12, inside a surrogate pair"),
        (6, UTF16_LENGTH + 1, f"aspects[0].end: expected 7 to {UTF16_LENGTH}, behind start and in the text, got"),
    ],
)
def test_utf16_offsets_beside_a_character_are_refused(start, end, message):
    """Half a character is no aspect, and the text is as long as its UTF-16 encoding."""
    assert refusal([{"start": start, "end": end}], unit="utf16").startswith(message)


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("😀a "), min_size=1), st.data())
def test_utf16_spans_are_the_same_spans(text, data):
    """Any span with something to see in it comes out of UTF-16 as it went in."""
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    index = Utf16Index(text)
    value = [{"start": index.to_utf16(start), "end": index.to_utf16(end)}]
    if is_blank(text[start:end]):
        assert "only white space" in refusal(value, text=text, unit="utf16")
    else:
        assert parse(value, text=text, unit="utf16") == (GivenAspect(None, start, end),)
