"""The chain: texts to aspects to polarities, for any mix of records, in input order. Knows no HTTP and no engine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from absa_server.absa.absa_json import OutputSection
from absa_server.absa.given import resolve_given
from absa_server.absa.stages import AspectStage, Check, JointStage, Rater
from absa_server.errors import InvalidRequest
from absa_server.types import Analysis, Aspect, Record


@dataclass(frozen=True, slots=True)
class _Question:
    """A record that can be answered; `given` are its aspects, looked up, or None where they are to be found."""

    record: Record
    given: list[Aspect] | None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Finds aspects, rates aspects, or both; at least one of the two is there.

    A joint tagger is a whole pipeline by itself: its aspects leave stage one rated, and as `rater` it also rates the
    given ones. `max_aspects` bounds the occurrences of a text's given aspects.
    """

    aspect: AspectStage | None
    rater: Rater | None
    output: OutputSection
    max_aspects: int = 100

    @property
    def is_aspect_only(self) -> bool:
        """Whether this is the first half of a chain whose second half is another container."""
        return self.rater is None

    def analyze(self, records: Sequence[Record], check: Check = lambda: None) -> list[Analysis | InvalidRequest]:
        """One analysis a record, in order; in its place, what is wrong with a record that cannot be answered.

        `check` is called between batches and stops the work by raising. Raises `EngineFailed`, and what `check` raises.
        """
        questions = [self._question(record, check) for record in records]
        answers = iter(self._analyze([one for one in questions if isinstance(one, _Question)], check))
        return [next(answers) if isinstance(one, _Question) else one for one in questions]

    def _question(self, record: Record, check: Check) -> "_Question | InvalidRequest":
        """The record with its given aspects looked up, or what is wrong with it for this pipeline."""
        check()
        if (refusal := self._refusal(record)) is not None:
            return refusal
        if record.aspects is None:
            return _Question(record, None)
        given = resolve_given(record.text, record.aspects)
        if len(given) > self.max_aspects:
            return InvalidRequest(
                f"aspects: expected terms that occur at most {self.max_aspects} times together (ABSA_MAX_ASPECTS), "
                f"got {len(given)} occurrences"
            )
        return _Question(record, given)

    def _refusal(self, record: Record) -> InvalidRequest | None:
        mode, is_given = record.parameters.mode, record.aspects is not None
        if mode == "sentiment" and not is_given:
            return InvalidRequest("aspects: missing; mode sentiment rates the aspects that come with the text")
        if self.aspect is None and not is_given:
            return InvalidRequest("aspects: missing; this model has no aspect stage and rates only given aspects")
        if self.rater is None and mode == "sentiment":
            return InvalidRequest(
                "parameters.mode: sentiment needs a sentiment model, which this artifact does not have"
            )
        return None

    def _analyze(self, questions: Sequence["_Question"], check: Check) -> list[Analysis]:
        found = self._found(questions, check)
        unrated = [
            (question.record.text, aspect)
            for question, aspects in zip(questions, found, strict=True)
            for aspect in aspects
            if self._is_to_rate(question.record, aspect)
        ]
        rated = iter(self.rater.rate(unrated, check) if self.rater and unrated else ())
        return [
            self._analysis(
                question.record,
                [next(rated) if self._is_to_rate(question.record, aspect) else (aspect, False) for aspect in aspects],
            )
            for question, aspects in zip(questions, found, strict=True)
        ]

    def _is_to_rate(self, record: Record, aspect: Aspect) -> bool:
        return self.rater is not None and record.parameters.mode != "aspects" and aspect.polarity is None

    def _found(self, questions: Sequence["_Question"], check: Check) -> list[list[Aspect]]:
        """The aspects of each record, not yet rated: the given ones, or those that are extracted, all together."""
        unknown = [question.record.text for question in questions if question.given is None]
        extracted = iter(self.aspect.extract(unknown, check) if self.aspect and unknown else ())
        return [
            self._wanted(next(extracted), question.record) if question.given is None else question.given
            for question in questions
        ]

    def _wanted(self, aspects: list[Aspect], record: Record) -> list[Aspect]:
        """The found aspects above the least score; with their polarity only if it is the one to be answered."""
        least = max(record.parameters.min_score, self.aspect.min_score if self.aspect else 0.0)
        kept = [aspect for aspect in aspects if aspect.score is None or aspect.score >= least]
        if isinstance(self.rater, JointStage) and record.parameters.mode != "aspects":
            return kept
        return [replace(aspect, label=None, polarity=None, polarity_score=None, scores=None) for aspect in kept]

    def _analysis(self, record: Record, rated: Sequence[tuple[Aspect, bool]]) -> Analysis:
        is_truncated = record.truncated or any(truncated for _, truncated in rated)
        return Analysis(tuple(self._shown(aspect) for aspect, _ in rated), is_truncated)

    def _shown(self, aspect: Aspect) -> Aspect:
        """Only what the owner's `absa.json` lets out."""
        if not self.output.scores:
            aspect = replace(aspect, scores=None)
        return aspect if self.output.categories else replace(aspect, category=None)
