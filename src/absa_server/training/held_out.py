"""Which reviews are never trained on, and how well a trained folder does on them, through the pipeline that serves it.

Knows no training and no HTTP.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from absa_server.errors import InvalidRequest
from absa_server.serving.loading import EngineOptions, load_model
from absa_server.training.records import LabelledReview
from absa_server.types import Analysis, GivenAspect, Record

HELD_OUT_SHARE = 0.1

Found = set[tuple[int | str, ...]]


@dataclass(frozen=True, slots=True)
class Scores:
    """Micro-averaged F1 of spans, of spans with their polarity, and accuracy of the polarity where spans are given."""

    reviews: int
    aspects: int
    aspect_f1: float
    end_to_end_f1: float
    polarity_accuracy: float


def is_held_out(review: LabelledReview) -> bool:
    """True for one text in ten, chosen by its hash: the same ones whatever the order, the seed or the file's growth."""
    digest = sha256(review.text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT_SHARE * 2**32


def measure(folder: Path, reviews: Sequence[LabelledReview]) -> Scores:
    """Scores of the models in `folder`. A measure without anything to measure is 0."""
    loaded = load_model(folder, EngineOptions())
    try:
        extracted = loaded.pipeline.analyze([Record(review.text) for review in reviews])
        rated = loaded.pipeline.analyze([_with_aspects(review) for review in reviews])
    finally:
        loaded.close()
    gold, found, given = _gold(reviews), _found(extracted), _found(rated)
    return Scores(
        reviews=len(reviews),
        aspects=len(gold),
        aspect_f1=_f1({span[:3] for span in gold}, {span[:3] for span in found}),
        end_to_end_f1=_f1(gold, found),
        polarity_accuracy=round(len(gold & given) / len(gold), 4) if gold else 0.0,
    )


def _with_aspects(review: LabelledReview) -> Record:
    spans = tuple(GivenAspect(None, aspect.start, aspect.end) for aspect in review.aspects)
    return Record(review.text, aspects=spans)


def _gold(reviews: Iterable[LabelledReview]) -> Found:
    return {
        (number, aspect.start, aspect.end, aspect.polarity)
        for number, review in enumerate(reviews)
        for aspect in review.aspects
    }


def _found(analyses: Iterable[Analysis | InvalidRequest]) -> Found:
    return {
        (number, aspect.start or 0, aspect.end or 0, aspect.polarity or "")
        for number, analysis in enumerate(analyses)
        if isinstance(analysis, Analysis)
        for aspect in analysis.aspects
    }


def _f1(gold: Found, found: Found) -> float:
    return round(2 * len(gold & found) / (len(gold) + len(found)), 4) if gold or found else 0.0
