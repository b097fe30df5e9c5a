"""A user's own labelled reviews: what is read, and what is refused with line and field."""

import json
from pathlib import Path

import pytest

from absa_server.training.errors import InvalidReviews
from absa_server.training.records import LabelledAspect, LabelledReview
from absa_server.training.review_file import read_reviews

SOUP = {"start": 6, "end": 10, "polarity": "positive"}


def write(folder: Path, *lines: object) -> Path:
    file = folder / "reviews.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return file


def test_review_is_read_with_its_aspects_in_text_order(tmp_path):
    """Blank lines, further fields and the order of the aspects do not matter."""
    later = {"start": 15, "end": 22, "polarity": "NEG", "term": "service"}
    file = write(tmp_path, {"text": "Great soup but service", "id": 7, "aspects": [later, SOUP]}, "")
    aspects = (LabelledAspect(6, 10, "positive"), LabelledAspect(15, 22, "negative"))
    assert read_reviews(file) == [LabelledReview("Great soup but service", aspects)]


def test_offsets_count_code_points(tmp_path):
    """An emoji is one character."""
    file = write(tmp_path, {"text": "🍜 soup", "aspects": [{"start": 2, "end": 6, "polarity": "neutral"}]})
    assert read_reviews(file)[0].aspects == (LabelledAspect(2, 6, "neutral"),)


def test_line_separator_inside_a_text_ends_no_line(tmp_path):
    """Only a line feed ends a record: U+2028 may stand in JSON as it is."""
    file = write(tmp_path, '{"text": "Great\u2028soup", "aspects": [{"start": 6, "end": 10, "polarity": "positive"}]}')
    assert read_reviews(file)[0].text == "Great\u2028soup"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{not json", "line 2: expected a JSON object"),
        ([1], "line 2: expected a JSON object, got list"),
        ({"aspects": []}, "line 2: text: expected a text"),
        ({"text": " ", "aspects": []}, "line 2: text: expected a text"),
        ({"text": "Great soup"}, "line 2: aspects: expected a list"),
        ({"text": "Great soup", "aspects": ["soup"]}, r"line 2: aspects\[0\]: expected an object"),
        ({"text": "Great soup", "aspects": [SOUP | {"start": "6"}]}, r"line 2: aspects\[0\]\.start: .*got str '6'"),
        ({"text": "Great soup", "aspects": [SOUP | {"end": True}]}, r"line 2: aspects\[0\]\.end: .*got bool True"),
        ({"text": "Great soup", "aspects": [SOUP | {"end": 11}]}, r"aspects\[0\]: expected 0 <= start < end <= 10"),
        ({"text": "Great soup", "aspects": [SOUP | {"start": -1}]}, r"aspects\[0\]: expected 0 <= start"),
        ({"text": "Great soup", "aspects": [SOUP | {"start": 10}]}, r"aspects\[0\]: expected 0 <= start < end"),
        ({"text": "Great soup", "aspects": [SOUP | {"term": "stew"}]}, r"aspects\[0\]: term: the text has 'soup'"),
        ({"text": "Great soup", "aspects": [SOUP | {"polarity": "meh"}]}, r"aspects\[0\]\.polarity: .*got str 'meh'"),
        ({"text": "Great soup", "aspects": [SOUP | {"polarity": "conflict"}]}, r"aspects\[0\]\.polarity: expected"),
        ({"text": "Great soup", "aspects": [{"start": 6, "end": 10}]}, r"aspects\[0\]\.polarity: .*got nothing"),
        ({"text": "Great soup", "aspects": [SOUP, SOUP | {"start": 9}]}, "6 to 10 overlaps 9 to 10"),
    ],
)
def test_wrong_record_is_refused_by_line_and_field(tmp_path, line, message):
    """The message begins with the file's name and says what was expected and what came."""
    file = write(tmp_path, {"text": "Great soup", "aspects": [SOUP]}, line)
    with pytest.raises(InvalidReviews, match=f"^reviews.jsonl {message}" if message.startswith("line") else message):
        read_reviews(file)


def test_adjacent_aspects_are_no_overlap(tmp_path):
    """A span is half-open: one may begin where another ends."""
    file = write(tmp_path, {"text": "Great soup", "aspects": [SOUP, SOUP | {"start": 5, "end": 6}]})
    assert len(read_reviews(file)[0].aspects) == 2


def test_file_without_any_aspect_is_refused(tmp_path):
    """Nothing could be learned from it."""
    with pytest.raises(InvalidReviews, match="at least one review with an aspect"):
        read_reviews(write(tmp_path, {"text": "We came on Friday.", "aspects": []}))


def test_file_that_is_no_utf8_is_refused(tmp_path):
    """A wrong encoding would move every offset."""
    (tmp_path / "reviews.jsonl").write_bytes(b'{"text": "caf\xe9"}')
    with pytest.raises(InvalidReviews, match="UTF-8"):
        read_reviews(tmp_path / "reviews.jsonl")
