"""Answers that an artifact brings of its own model, so that a load can tell whether it still gives them.

    self_test.json    {"version": 1, "answers": [{"text", "given", "aspects": [{"start", "end", "polarity", …}]}]}

The packer got them in float32. Spans and polarities must be equal; scores may differ by what the precision explains.
Reader and writer stand together. Knows no engine.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from absa_server.absa.pipeline import Pipeline
from absa_server.errors import InvalidModel
from absa_server.types import Analysis, GivenAspect, Record

FILE_NAME = "self_test.json"
# How far a score may be from float32's. torch and OpenVINO differ by 1e-4 of the logits' scale.
TOLERANCES = {"f32": 0.002, "torch": 0.002, "bf16": 0.05, "int8": 0.1}
# Texts with the spans of the aspects that a second stage alone is asked about.
TEXTS: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = (
    ("The food was great, but the service was slow.", ((4, 8), (28, 35))),
    ("I love the keyboard and the battery life.", ((11, 19), (28, 40))),
    ("The room was clean and the staff were friendly.", ((4, 8), (27, 32))),
    ("Terrible pizza, rude waiters.", ((9, 14), (21, 28))),
    ("The screen is too dim and the speakers sound awful.", ((4, 10), (30, 38))),
    ("Great location, but the bed was far too soft.", ((6, 14), (24, 27))),
    ("The soup came with bread.", ((4, 8), (19, 24))),
    ("We will not come again.", ()),
)
# Of each kind: found aspects, and given ones.
KEPT = 4


class _File(BaseModel):
    class Answer(BaseModel):
        """One text, what was asked about it, and what came."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        class Found(BaseModel):
            """One aspect of an answer."""

            model_config = ConfigDict(extra="forbid", frozen=True)
            start: int | None
            end: int | None
            polarity: str | None
            score: float | None
            polarity_score: float | None

        text: str
        given: tuple[tuple[int, int], ...] | None
        aspects: tuple[Found, ...]

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: int
    answers: tuple[Answer, ...]


Answer = _File.Answer


@dataclass(frozen=True, slots=True)
class Difference:
    """The first aspect of a text that is not what was stored, in words fit for the artifact's owner."""

    text: str
    expected: str
    got: str


def ask(pipeline: Pipeline) -> list[Answer]:
    """What `pipeline` answers to the texts: found aspects, given ones, or both, as far as it can."""
    asked = [(text, None) for text, _ in TEXTS] if pipeline.aspect is not None else []
    given = [(text, spans) for text, spans in TEXTS if spans] if pipeline.rater is not None else []
    return _answers(pipeline, [*asked, *given])


def steady(answers: Sequence[Answer], others: Sequence[tuple[str, Sequence[Answer]]]) -> list[Answer]:
    """The answers worth storing: those that the other precisions give too, well within their tolerance.

    `others` are the answers to the same texts, each with its precision.
    """
    kept = [
        answer
        for index, answer in enumerate(answers)
        if answer.aspects
        and all(compare(answer, other[index], TOLERANCES[precision] / 2) is None for precision, other in others)
    ]
    kept.sort(key=_least_score, reverse=True)
    return [one for is_given in (False, True) for one in [x for x in kept if (x.given is not None) == is_given][:KEPT]]


def write_self_test(root: Path, answers: Sequence[Answer]) -> None:
    """Puts the answers into the artifact at `root`."""
    document = _File(version=1, answers=tuple(answers)).model_dump_json(indent=1)
    (root / FILE_NAME).write_text(document + "\n", encoding="utf-8")


def check_self_test(root: Path, pipeline: Pipeline, engines: Sequence[str]) -> int:
    """How many stored answers `pipeline` gave again; 0 where the artifact brings none.


    `engines` are the names of its networks. Raises `InvalidModel` at the first that is another, or when the file is not
    readable.
    """
    if not (root / FILE_NAME).is_file():
        return 0
    try:
        stored = _File.model_validate_json((root / FILE_NAME).read_bytes()).answers
    except ValidationError as error:
        raise InvalidModel(
            f"{FILE_NAME} is not readable ({error.errors()[0]['msg']}); pack the artifact again"
        ) from error
    tolerance = max(TOLERANCES.get(name.rpartition(" ")[2], 0.0) for name in engines)
    for expected, got in zip(stored, _answers(pipeline, [(one.text, one.given) for one in stored]), strict=True):
        if (difference := compare(expected, got, tolerance)) is not None:
            raise InvalidModel(
                f"{FILE_NAME}: {difference.text!r} should give {difference.expected}, and gives {difference.got} "
                f"({', '.join(engines)}); the files are not what was packed, or this machine does not compute as the "
                "packer's did: pack the artifact again here, or unset ABSA_SELF_TEST"
            )
    return len(stored)


def compare(expected: Answer, got: Answer, tolerance: float) -> Difference | None:
    """None when all spans and polarities are equal and no score is further off than `tolerance`."""
    for one, other in zip_longest(expected.aspects, got.aspects):
        if one is None or other is None or not _is_same(one, other, tolerance):
            return Difference(expected.text, _shown(expected.text, one), _shown(expected.text, other))
    return None


def _answers(pipeline: Pipeline, asked: Sequence[tuple[str, tuple[tuple[int, int], ...] | None]]) -> list[Answer]:
    records = [
        Record(text, aspects=None if spans is None else tuple(GivenAspect(None, *span) for span in spans))
        for text, spans in asked
    ]
    analyses = pipeline.analyze(records)
    return [
        Answer(text=text, given=spans, aspects=_found(one)) for (text, spans), one in zip(asked, analyses, strict=True)
    ]


def _found(analysis: Any) -> tuple[_File.Answer.Found, ...]:  # noqa: ANN401  an analysis, or what is wrong with the text
    if not isinstance(analysis, Analysis):
        raise InvalidModel(f"the model refuses a text of its self-test: {analysis}")
    return tuple(
        _File.Answer.Found(
            start=one.start,
            end=one.end,
            polarity=one.polarity,
            score=_rounded(one.score),
            polarity_score=_rounded(one.polarity_score),
        )
        for one in analysis.aspects
    )


def _rounded(score: float | None) -> float | None:
    """Four digits: what differs beyond them may differ from one thread to two."""
    return None if score is None else round(score, 4)


def _is_same(one: _File.Answer.Found, other: _File.Answer.Found, tolerance: float) -> bool:
    if (one.start, one.end, one.polarity) != (other.start, other.end, other.polarity):
        return False
    pairs = ((one.score, other.score), (one.polarity_score, other.polarity_score))
    return all((a is None) == (b is None) and (a is None or b is None or abs(a - b) <= tolerance) for a, b in pairs)


def _least_score(answer: Answer) -> float:
    scores = [score for one in answer.aspects for score in (one.score, one.polarity_score) if score is not None]
    return min(scores, default=0.0)


def _shown(text: str, aspect: _File.Answer.Found | None) -> str:
    if aspect is None:
        return "no more aspect"
    term = "no place" if aspect.start is None else json.dumps(text[aspect.start : aspect.end])
    scores = " and ".join(f"{score:.3f}" for score in (aspect.score, aspect.polarity_score) if score is not None)
    return f"{term} {aspect.polarity or 'unrated'} ({scores or 'no score'})"
