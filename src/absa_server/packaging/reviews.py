"""Real texts to calibrate on and to measure with: JSON Lines of `{"text", "aspects": [{"start", "end", "polarity"}]}`.

Aspects and their polarities may be absent. Offsets are half-open and in code points. Knows no model.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from absa_server.absa.polarity import canonical_polarity
from absa_server.packaging.errors import InvalidInputs

HELD_OUT_SHARE = 0.3
# Held-out texts that are measured with, and texts that are calibrated on. More: steadier figures, longer packing.
MOST_HELD_OUT = 1000
MOST_CALIBRATING = 300
FEWEST = 8


@dataclass(frozen=True, slots=True)
class GoldAspect:
    """A term at `start:end`. `polarity` is canonical where its name is known; None where the line has none."""

    start: int
    end: int
    polarity: str | None


@dataclass(frozen=True, slots=True)
class Review:
    """A text; `aspects` None where nobody labelled it."""

    text: str
    aspects: tuple[GoldAspect, ...] | None


@dataclass(frozen=True, slots=True)
class Reviews:
    """One file, split by the hash of each text: the same ones whatever their order."""

    calibrating: tuple[Review, ...]
    held_out: tuple[Review, ...]
    digest: str

    @property
    def is_labelled(self) -> bool:
        """Whether scores can be told."""
        return any(review.aspects is not None for review in self.held_out)


def read_reviews(file: Path) -> Reviews:
    """The reviews of `file`. Raises `InvalidInputs` naming line and field."""
    try:
        data = file.read_bytes()
        lines = data.decode().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputs(f"{file}: expected a readable file in UTF-8: {error}") from error
    found = [_review(line, f"{file.name} line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    by_text = {review.text: review for review in found}  # a text that is both calibrated on and measured with cheats
    ordered = sorted(by_text.values(), key=_place)
    cut = int(len(ordered) * HELD_OUT_SHARE)
    if cut < FEWEST:
        raise InvalidInputs(f"{file.name}: {len(ordered)} texts are too few; some hundred real ones are needed")
    held_out = _labelled_first(ordered[:cut])[:MOST_HELD_OUT]
    return Reviews(tuple(ordered[cut:][:MOST_CALIBRATING]), tuple(held_out), sha256(data).hexdigest())


def _labelled_first(reviews: Sequence[Review]) -> Sequence[Review]:
    """Only the labelled ones, where there are any: scores and agreement are told of the same texts."""
    return [review for review in reviews if review.aspects is not None] or reviews


def _place(review: Review) -> bytes:
    return sha256(review.text.encode("utf-8", "surrogatepass")).digest()


def _review(line: str, where: str) -> Review:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidInputs(f"{where}: expected a JSON object, got no JSON at column {error.colno}") from error
    text = record.get("text") if isinstance(record, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise InvalidInputs(f"{where}: text: expected a text that is not empty")
    listed = record.get("aspects")
    if listed is None:
        return Review(text, None)
    if not isinstance(listed, list):
        raise InvalidInputs(f"{where}: aspects: expected a list, or no such field")
    return Review(text, tuple(_aspect(one, text, f"{where}: aspects[{n}]") for n, one in enumerate(listed)))


def _aspect(aspect: object, text: str, where: str) -> GoldAspect:
    start, end = (aspect.get(name) if isinstance(aspect, dict) else None for name in ("start", "end"))
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        raise InvalidInputs(f"{where}: expected start and end with 0 <= start < end <= {len(text)}, the text's length")
    polarity = aspect.get("polarity") if isinstance(aspect, dict) else None
    return GoldAspect(start, end, canonical_polarity(polarity) or polarity if isinstance(polarity, str) else None)
