"""Reviews to calibrate on and to measure with: split the same every time, refused by line and field."""

import json
from pathlib import Path

import pytest

from absa_server.packaging.errors import InvalidInputs
from absa_server.packaging.reviews import MOST_CALIBRATING, MOST_HELD_OUT, GoldAspect, read_reviews
from tests.packaging.reviews_file import write_reviews


def write(file: Path, *lines: object) -> Path:
    file.write_text("\n".join(json.dumps(line) for line in lines))
    return file


def texts(count: int) -> list[dict[str, object]]:
    return [{"text": f"text {number}"} for number in range(count)]


def test_no_text_is_both_calibrated_on_and_measured_with(tmp_path: Path) -> None:
    """Whatever the order of the lines; a text that stands twice counts once."""
    one = read_reviews(write(tmp_path / "a", *texts(100), *texts(100)))
    other = read_reviews(write(tmp_path / "b", *reversed(texts(100))))
    assert (one.calibrating, one.held_out) == (other.calibrating, other.held_out)
    assert len(one.held_out) == 30
    assert {review.text for review in one.calibrating}.isdisjoint(review.text for review in one.held_out)


def test_large_files_are_cut(tmp_path: Path) -> None:
    """More texts than help are left out of either part."""
    found = read_reviews(write(tmp_path / "a", *texts(5000)))
    assert (len(found.calibrating), len(found.held_out)) == (MOST_CALIBRATING, MOST_HELD_OUT)


def test_only_labelled_texts_are_measured_with_where_there_are_any(tmp_path: Path) -> None:
    """A file of both kinds: scores are told of what has labels."""
    labelled = [{"text": f"soup {number}", "aspects": []} for number in range(100)]
    found = read_reviews(write(tmp_path / "a", *texts(100), *labelled))
    assert found.is_labelled
    assert all(review.aspects == () for review in found.held_out)


def test_aspects_are_read_with_canonical_polarities(tmp_path: Path) -> None:
    """A polarity may be absent, or one that nobody knows."""
    aspects = [{"start": 0, "end": 4, "polarity": polarity} for polarity in ("POS", "odd", None)]
    lines = [{"text": f"soup {number}", "aspects": aspects} for number in range(40)]
    found = read_reviews(write(tmp_path / "a", *lines))
    expected = (GoldAspect(0, 4, "positive"), GoldAspect(0, 4, "odd"), GoldAspect(0, 4, None))
    assert found.held_out[0].aspects == expected


@pytest.mark.parametrize(
    ("line", "telling"),
    [
        ("{", "line 41: expected a JSON object, got no JSON at column 2"),
        ("[]", "line 41: text: expected a text that is not empty"),
        ('{"text": " "}', "line 41: text"),
        ('{"text": "a", "aspects": 3}', "line 41: aspects: expected a list"),
        ('{"text": "a", "aspects": [3]}', r"line 41: aspects\[0\]: expected start and end"),
        ('{"text": "a", "aspects": [{"start": 0, "end": 2}]}', "<= 1, the text's length"),
        ('{"text": "a", "aspects": [{"start": true, "end": 1}]}', "expected start and end"),
    ],
)
def test_bad_line_is_refused_by_number_and_field(line: str, telling: str, tmp_path: Path) -> None:
    """So that it can be repaired."""
    file = write(tmp_path / "a", *texts(40))
    file.write_text(f"{file.read_text()}\n{line}\n")
    with pytest.raises(InvalidInputs, match=telling):
        read_reviews(file)


def test_few_texts_and_no_file_are_refused(tmp_path: Path) -> None:
    """On both sides of the least number."""
    assert len(read_reviews(write(tmp_path / "a", *texts(27))).held_out) == 8
    with pytest.raises(InvalidInputs, match="26 texts are too few"):
        read_reviews(write(tmp_path / "a", *texts(26)))
    with pytest.raises(InvalidInputs, match="expected a readable file"):
        read_reviews(tmp_path)


def test_tiny_reviews_are_such_a_file(tmp_path: Path) -> None:
    """What the other tests calibrate with."""
    assert read_reviews(write_reviews(tmp_path / "a")).is_labelled
    assert not read_reviews(write_reviews(tmp_path / "b", is_labelled=False)).is_labelled
