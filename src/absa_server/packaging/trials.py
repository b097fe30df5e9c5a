"""One stage of a pipeline with one network or another: what it answers, how well, how fast. Knows no recipe.

A trial is of stage one (its answers are spans, its score F1 over exact spans) or of stage two (polarities of given
aspects, accuracy). Conflicting and unknown gold polarities are left out of stage two.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from absa_server.absa.batches import BatchRunner
from absa_server.absa.pipeline import Pipeline
from absa_server.absa.stages import AspectStage, JointStage, SentimentStage
from absa_server.absa.tokenization import ModelInput
from absa_server.packaging.errors import InvalidInputs
from absa_server.packaging.reviews import Review, Reviews
from absa_server.types import Analysis, Engine, FloatArray, GivenAspect, IntArray, Parameters, Record

_TIMED_ROWS = 256
_ROUNDS = 5

# For each text (stage one) or each aspect (stage two) what was answered, comparable.
Answers = list[Any]


class Trial(Protocol):
    """One stage, tried on the same reviews with several networks."""

    @property
    def metric(self) -> str:
        """What the score is."""

    @property
    def pipeline(self) -> Pipeline:
        """The one in float32."""

    def runner(self, pipeline: Pipeline) -> BatchRunner:
        """What runs the stage's network."""

    def with_engine(self, engine: Engine) -> Pipeline:
        """The pipeline with another network for this stage."""

    def answers(self, pipeline: Pipeline) -> Answers:
        """What the stage answers to the held-out reviews."""

    def score(self, answers: Answers) -> float | None:
        """How good the answers are; None without labels."""

    def calibrate(self, pipeline: Pipeline) -> None:
        """Runs the stage on the reviews that are calibrated on."""


@dataclass(frozen=True, slots=True)
class AspectTrial:
    """Stage one. A joint tagger's polarities are part of its answers, not of its score."""

    pipeline: Pipeline
    held_out: Sequence[Review]
    calibrating: Sequence[Review]
    metric: str = "f1"

    def runner(self, pipeline: Pipeline) -> BatchRunner:
        """See `Trial`."""
        return _aspect(pipeline).runner

    def with_engine(self, engine: Engine) -> Pipeline:
        """See `Trial`."""
        runner = replace(self.runner(self.pipeline), engine=engine)
        stage = replace(_aspect(self.pipeline), runner=runner)
        rater = JointStage(stage) if isinstance(self.pipeline.rater, JointStage) else self.pipeline.rater
        return replace(self.pipeline, aspect=stage, rater=rater)

    def answers(self, pipeline: Pipeline) -> Answers:
        """See `Trial`."""
        return [
            frozenset((one.start, one.end, one.polarity) for one in analysis.aspects)
            for analysis in _analyses(pipeline, self._records(self.held_out))
        ]

    def score(self, answers: Answers) -> float | None:
        """See `Trial`."""
        gold = [{(one.start, one.end) for one in review.aspects or ()} for review in self.held_out]
        if not any(gold):
            return None
        found = [{span[:2] for span in one} for one in answers]
        right: int = sum(len(one & other) for one, other in zip(gold, found, strict=True))
        return 2 * right / (sum(map(len, gold)) + sum(map(len, found)))

    def calibrate(self, pipeline: Pipeline) -> None:
        """See `Trial`."""
        _analyses(pipeline, self._records(self.calibrating))

    def _records(self, reviews: Sequence[Review]) -> list[Record]:
        parameters = Parameters() if isinstance(self.pipeline.rater, JointStage) else _ASPECTS
        return [Record(one.text, parameters=parameters) for one in reviews]


@dataclass(frozen=True, slots=True)
class SentimentTrial:
    """Stage two. `gold` are the polarities of the asked aspects, one after another; empty without labels."""

    pipeline: Pipeline
    asked: Sequence[Record]
    gold: Sequence[str]
    calibrating: Sequence[Record]
    metric: str = "accuracy"

    def runner(self, pipeline: Pipeline) -> BatchRunner:
        """See `Trial`."""
        return _sentiment(pipeline).runner

    def with_engine(self, engine: Engine) -> Pipeline:
        """See `Trial`."""
        stage = _sentiment(self.pipeline)
        return replace(self.pipeline, rater=replace(stage, runner=replace(stage.runner, engine=engine)))

    def answers(self, pipeline: Pipeline) -> Answers:
        """See `Trial`."""
        return [one.polarity for found in _analyses(pipeline, self.asked) for one in found.aspects]

    def score(self, answers: Answers) -> float | None:
        """See `Trial`."""
        if not self.gold:
            return None
        return agreement(list(self.gold), answers)

    def calibrate(self, pipeline: Pipeline) -> None:
        """See `Trial`."""
        _analyses(pipeline, self.calibrating)


def aspect_trial(pipeline: Pipeline, reviews: Reviews) -> AspectTrial:
    """Stage one of `pipeline` on all the reviews."""
    return AspectTrial(pipeline, reviews.held_out, reviews.calibrating)


def sentiment_trial(pipeline: Pipeline, reviews: Reviews) -> SentimentTrial:
    """Stage two on gold aspects that have a polarity the model knows; without such, on those that stage one finds.

    Raises `InvalidInputs` when there are none either way.
    """
    known = {label.polarity for label in _sentiment(pipeline).classifier.labels}
    held_out, calibrating = (
        [replace(one, aspects=tuple(a for a in one.aspects or () if a.polarity in known)) for one in part]
        for part in (reviews.held_out, reviews.calibrating)
    )
    gold = [str(one.polarity) for review in held_out for one in review.aspects or ()]
    if gold:
        return SentimentTrial(pipeline, _given(held_out), gold, _given(calibrating))
    asked, found = (_found(pipeline, part) for part in (reviews.held_out, reviews.calibrating))
    if not asked or not found:
        raise InvalidInputs("stage two cannot be calibrated: neither do the lines have aspects, nor are any found")
    return SentimentTrial(pipeline, asked, (), found)


_ASPECTS = Parameters(mode="aspects")


def _given(reviews: Sequence[Review]) -> list[Record]:
    return [
        Record(one.text, aspects=tuple(GivenAspect(None, aspect.start, aspect.end) for aspect in one.aspects))
        for one in reviews
        if one.aspects
    ]


def _found(pipeline: Pipeline, reviews: Sequence[Review]) -> list[Record]:
    if pipeline.aspect is None:
        return _given(reviews)
    records = [Record(one.text, parameters=_ASPECTS) for one in reviews]
    return [
        Record(record.text, aspects=tuple(GivenAspect(None, one.start, one.end) for one in found.aspects))
        for record, found in zip(records, _analyses(pipeline, records), strict=True)
        if found.aspects
    ]


def _aspect(pipeline: Pipeline) -> AspectStage:
    if pipeline.aspect is None:
        raise InvalidInputs("the artifact has no aspect model")
    return pipeline.aspect


def _sentiment(pipeline: Pipeline) -> SentimentStage:
    if not isinstance(pipeline.rater, SentimentStage):
        raise InvalidInputs("the artifact has no sentiment model")
    return pipeline.rater


def _analyses(pipeline: Pipeline, records: Sequence[Record]) -> list[Analysis]:
    """Raises `InvalidInputs` for a record that the model cannot be shown."""
    analyses = pipeline.analyze(records)
    refused = [one for one in analyses if not isinstance(one, Analysis)]
    if refused:
        raise InvalidInputs(f"the model refuses a text of the reviews: {refused[0]}")
    return [one for one in analyses if isinstance(one, Analysis)]


def agreement(one: Answers, other: Answers) -> float:
    """The share of equal answers."""
    equal = sum(bool(a == b) for a, b in zip(one, other, strict=True))
    return equal / max(1, len(one))


class RecordingEngine:
    """Stands in for `engine`; `rows` are what it was given, without padding, at most `limit` of them."""

    def __init__(self, engine: Engine, limit: int) -> None:
        self._engine = engine
        self._limit = limit
        self.rows: list[ModelInput] = []

    def infer(self, input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray | None) -> FloatArray:
        """See `types.Engine`."""
        types = np.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        for ids, mask, kinds in zip(input_ids, attention_mask, types, strict=True):
            if len(self.rows) < self._limit:
                self.rows.append(ModelInput(ids[: mask.sum()], kinds[: mask.sum()]))
        return self._engine.infer(input_ids, attention_mask, token_type_ids)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever else an engine tells of itself
        return getattr(self._engine, name)


def speedup(slow: BatchRunner, fast: BatchRunner, rows: Sequence[ModelInput]) -> float:
    """How many times as fast `fast` runs the rows, in batches of similar length: median of interleaved rounds.

    By the CPU's time, which other work on the machine does not change; a stream of one thread has none to wait for.
    """
    seconds: dict[BatchRunner, list[float]] = {slow: [], fast: []}
    for _ in range(_ROUNDS + 1):
        for runner, taken in seconds.items():
            begin = time.process_time()
            runner.run(rows[:_TIMED_ROWS], lambda: None)
            taken.append(time.process_time() - begin)
    return statistics.median(seconds[slow][1:]) / statistics.median(seconds[fast][1:])
