"""A user's own labelled reviews: JSON Lines of `{"text", "aspects": [{"start", "end", "polarity"}]}`.

Offsets are half-open and in code points. Knows no model.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from absa_server.absa.polarity import canonical_polarity
from absa_server.training.errors import InvalidReviews
from absa_server.training.records import POLARITIES, LabelledAspect, LabelledReview, Polarity


def read_reviews(file: Path) -> list[LabelledReview]:
    """The reviews of a file, blank lines left out. Raises `InvalidReviews` naming file, line and field."""
    reviews = []
    for number, line in enumerate(_lines(file), 1):
        if line.strip():
            reviews.append(_review(line, f"{file.name} line {number}"))
    if not any(review.aspects for review in reviews):
        raise InvalidReviews(f"{file.name}: expected at least one review with an aspect, got {len(reviews)} without")
    return reviews


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidReviews(f"{file}: expected a readable file in UTF-8: {error}") from error


def _review(line: str, where: str) -> LabelledReview:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidReviews(f"{where}: expected a JSON object, got no JSON at column {error.colno}") from error
    if not isinstance(record, dict):
        raise InvalidReviews(f"{where}: expected a JSON object, got {_named(record)}")
    text, listed = record.get("text"), record.get("aspects")
    if not isinstance(text, str) or not text.strip():
        raise InvalidReviews(f"{where}: text: expected a text that is not empty, got {_named(text)}")
    if not isinstance(listed, list):
        raise InvalidReviews(f"{where}: aspects: expected a list, an empty one if there are none, got {_named(listed)}")
    aspects = sorted(
        (_aspect(aspect, text, f"{where}: aspects[{n}]") for n, aspect in enumerate(listed)),
        key=lambda aspect: aspect.start,
    )
    _refuse_overlaps(aspects, where)
    return LabelledReview(text, tuple(aspects))


def _aspect(aspect: object, text: str, where: str) -> LabelledAspect:
    if not isinstance(aspect, dict):
        raise InvalidReviews(f"{where}: expected an object with start, end and polarity, got {_named(aspect)}")
    start, end = (_offset(aspect, name, where) for name in ("start", "end"))
    if not 0 <= start < end <= len(text):
        raise InvalidReviews(
            f"{where}: expected 0 <= start < end <= {len(text)}, the text's length, got {start}, {end}"
        )
    term = aspect.get("term", text[start:end])
    if term != text[start:end]:
        raise InvalidReviews(f"{where}: term: the text has {text[start:end]!r} at {start} to {end}, got {_named(term)}")
    return LabelledAspect(start, end, _polarity(aspect.get("polarity"), where))


def _offset(aspect: dict[str, Any], name: str, where: str) -> int:
    value = aspect.get(name)
    if type(value) is not int:
        raise InvalidReviews(f"{where}.{name}: expected a whole number, got {_named(value)}")
    return value


def _polarity(name: object, where: str) -> Polarity:
    canonical = canonical_polarity(name) if isinstance(name, str) else None
    for polarity in POLARITIES:
        if polarity == canonical:
            return polarity
    raise InvalidReviews(f"{where}.polarity: expected {', '.join(POLARITIES)}, got {_named(name)}")


def _refuse_overlaps(aspects: list[LabelledAspect], where: str) -> None:
    for one, other in pairwise(aspects):
        if other.start < one.end:
            raise InvalidReviews(
                f"{where}: aspects: {one.start} to {one.end} overlaps {other.start} to {other.end}; "
                "a token has one tag, so terms must not overlap"
            )


def _named(value: object) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {value!r:.40}"
