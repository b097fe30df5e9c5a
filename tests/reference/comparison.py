"""A server's answer to one text against the reference's, and against what every answer must keep. Knows no HTTP.

Tolerances: scores within 1e-4 of the reference. The server prints four digits, so a printed score may lie half a unit
of the last digit further off. Two printed answers are compared as printed, within 1e-4.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.reference.plain_reference import NEAR_TIE, Rating, ReferenceAnswer, ReferenceAspect, Span, is_letter

SCORE_TOLERANCE = 1e-4
ROUNDING = 0.5e-4
_FLOAT_NOISE = 1e-9  # 0.3000 - 0.2999 is a little more than 1e-4

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be. `is_near_tie`: rounding alone decides it, so neither side is wrong."""

    record_id: str
    what: str
    is_near_tie: bool = False


def compare(record_id: str, answer: Answer, reference: ReferenceAnswer) -> Iterator[Difference]:
    """Where `answer` and the reference differ: spans, their order, labels, scores, `truncated`."""
    found = {(aspect["start"], aspect["end"]): aspect for aspect in answer["aspects"]}
    wanted = {(aspect.start, aspect.end): aspect for aspect in reference.aspects}
    for span in sorted(found.keys() ^ wanted.keys()):
        side = "missing" if span in wanted else "unexpected"
        yield Difference(record_id, f"span {span}: {side}", _touches(span, reference.near_ties))
    if found.keys() == wanted.keys() and [*found] != [*wanted]:
        yield Difference(record_id, f"order of spans: expected {[*wanted]}, got {[*found]}")
    if len(found) != len(answer["aspects"]):
        yield Difference(record_id, "the same span more than once")
    if found.keys() == wanted.keys() and answer["truncated"] != reference.is_truncated:
        yield Difference(record_id, f"truncated: expected {reference.is_truncated}, got {answer['truncated']}")
    for span in found.keys() & wanted.keys():
        yield from _compare_aspect(record_id, found[span], wanted[span])


def _compare_aspect(record_id: str, found: Answer, wanted: ReferenceAspect) -> Iterator[Difference]:
    if abs(found["score"] - wanted.score) > SCORE_TOLERANCE + ROUNDING:
        yield Difference(record_id, f"score of {found['term']!r}: expected {wanted.score}, got {found['score']}")
    yield from compare_rating(record_id, found, wanted.rating)


def compare_rating(record_id: str, found: Answer, wanted: Rating) -> Iterator[Difference]:
    """Where the polarity of one aspect, or the probabilities behind it, differ. Labels must be polarities by name."""
    first, second = sorted(wanted.scores.values(), reverse=True)[:2]
    if (found["polarity"], found["label"]) != (wanted.label, wanted.label):
        what = f"polarity of {found['term']!r}: expected {wanted.label}, got {found['polarity']} ({found['label']})"
        yield Difference(record_id, what, first - second < NEAR_TIE)
    scores = {"polarity_score": wanted.scores[wanted.label]} | wanted.scores
    printed = {"polarity_score": found["polarity_score"]} | found["scores"]
    if printed.keys() != scores.keys():
        yield Difference(record_id, f"scores of {found['term']!r}: expected {[*scores]}, got {[*printed]}")
    elif any(abs(printed[name] - scores[name]) > SCORE_TOLERANCE + ROUNDING for name in scores):
        yield Difference(record_id, f"scores of {found['term']!r}: expected {scores}, got {printed}")


def largest_score_difference(answer: Answer, reference: ReferenceAnswer) -> float:
    """The largest distance of a printed score from the reference's, over the aspects that both have."""
    wanted = {(aspect.start, aspect.end): aspect for aspect in reference.aspects}
    distances = [0.0]
    for found in answer["aspects"]:
        if (other := wanted.get((found["start"], found["end"]))) is not None:
            distances.append(abs(found["score"] - other.score))
            distances += [abs(found["scores"].get(name, 0) - score) for name, score in other.rating.scores.items()]
    return max(distances)


def compare_answers(record_id: str, answer: Answer, other: Answer) -> Iterator[Difference]:
    """Where two answers of the server to the same text differ: count, order, spans, labels, scores, `truncated`."""
    if _without_scores(answer) != _without_scores(other):
        yield Difference(record_id, f"expected {_without_scores(answer)}, got {_without_scores(other)}")
        return
    for one, two in zip(answer["aspects"], other["aspects"], strict=True):
        scores = zip(_scores(one), _scores(two), strict=True)
        if any(abs(first - second) > SCORE_TOLERANCE + _FLOAT_NOISE for first, second in scores):
            yield Difference(record_id, f"scores of {one['term']!r}: expected {_scores(one)}, got {_scores(two)}")


def check_edges(record_id: str, text: str, answer: Answer) -> Iterator[Difference]:
    """Terms that are not what stands at their offsets, have space around them, or stop inside a run of letters."""
    for aspect in answer["aspects"]:
        term, start, end = aspect["term"], aspect["start"], aspect["end"]
        if not term or term != text[start:end]:
            yield Difference(record_id, f"term {term!r} is not what stands at {start}:{end}")
        elif term != term.strip():
            yield Difference(record_id, f"term {term!r} has white space around it")
        elif _is_inside_run(text, start) or _is_inside_run(text, end):
            yield Difference(record_id, f"term {term!r} at {start}:{end} ends inside a run of letters and digits")
    spans = [(aspect["start"], aspect["end"]) for aspect in answer["aspects"]]
    if any(one[1] > other[0] for one, other in pairwise(spans)):
        yield Difference(record_id, f"spans overlap or are not in text order: {spans}")


def check_utf16(record_id: str, text: str, answer: Answer, reference: ReferenceAnswer) -> Iterator[Difference]:
    """Aspects whose offsets do not cut their term out of the UTF-16 encoding, or are not the reference's spans."""
    units = text.encode("utf-16-le")
    for aspect in answer["aspects"]:
        piece = units[2 * aspect["start"] : 2 * aspect["end"]].decode("utf-16-le", "replace")
        if not piece or piece != aspect["term"]:
            yield Difference(record_id, f"utf16 {aspect['start']}:{aspect['end']} is {piece!r}, not {aspect['term']!r}")
    found = [(aspect["start"], aspect["end"]) for aspect in answer["aspects"]]
    wanted = [(_utf16_length(text[: one.start]), _utf16_length(text[: one.end])) for one in reference.aspects]
    if found != wanted:
        yield Difference(record_id, f"utf16 spans: expected {wanted}, got {found}", bool(reference.near_ties))


def _utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _is_inside_run(text: str, place: int) -> bool:
    return 0 < place < len(text) and is_letter(text[place - 1]) and is_letter(text[place])


def _touches(span: Span, others: Sequence[Span]) -> bool:
    """Whether one of `others` lies in `span`, or is a neighbour that could have been a part of it."""
    return any(start <= span[1] + 1 and end >= span[0] - 1 for start, end in others)


def _without_scores(answer: Answer) -> dict[str, Any]:
    aspects = [(one["term"], one["start"], one["end"], one["polarity"], one["label"]) for one in answer["aspects"]]
    return {"aspects": aspects, "truncated": answer["truncated"]}


def _scores(aspect: Answer) -> list[float]:
    own = [] if aspect["score"] is None else [aspect["score"]]
    return [*own, aspect["polarity_score"], *aspect["scores"].values()]
