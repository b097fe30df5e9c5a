"""The chain: texts to aspects to polarities, for any mix of records, in input order. Knows no HTTP and no engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from absa_server.absa.absa_json import OutputSection
from absa_server.absa.chains import Check, Steps, run_chains
from absa_server.absa.given import resolve_given
from absa_server.absa.stages import AspectStage, JointStage, Rated, Rater
from absa_server.errors import InvalidRequest
from absa_server.types import Analysis, Aspect, Record

# Records that `analyze` has under way at a time. Higher: rows of likelier length in a batch; more memory.
_PORTION_RECORDS = 512


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Finds aspects, rates aspects, or both; at least one of the two is there.

    A joint tagger is a whole pipeline by itself: its aspects leave stage one rated, and as `rater` it also rates the
    given ones. `max_aspects` bounds the occurrences of a text's given aspects. `version` tells the answers of this
    pipeline from those of any other. `models` names what answers, role to content, as far as its loader looked.
    """

    aspect: AspectStage | None
    rater: Rater | None
    output: OutputSection
    max_aspects: int = 100
    version: str = field(default_factory=lambda: uuid4().hex)
    models: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_aspect_only(self) -> bool:
        """Whether this is the first half of a chain whose second half is another container."""
        return self.rater is None

    def analyze(self, records: Sequence[Record], check: Check = lambda: None) -> list[Analysis | InvalidRequest]:
        """One analysis a record, in order; in its place, what is wrong with a record that cannot be answered.

        `check` is called between batches and stops the work by raising. Raises `EngineFailed`, and what `check` raises.
        """
        return [
            answer
            for start in range(0, len(records), _PORTION_RECORDS)
            for answer in run_chains(
                [self.chain(record) for record in records[start : start + _PORTION_RECORDS]], check
            )
        ]

    def chain(self, record: Record) -> Steps[Analysis | InvalidRequest]:
        """The work for one record, step by step; nothing is done before the first."""
        if (refusal := self._refusal(record)) is not None:
            return refusal
        if record.aspects is None and self.aspect is not None:
            extracted = yield from self.aspect.extract(record.text)
            found = self._wanted(extracted, record)
        else:
            found = resolve_given(record.text, record.aspects or ())
            if len(found) > self.max_aspects:
                return self._too_many(found)
        unrated = [aspect for aspect in found if self._is_to_rate(record, aspect)]
        rated = iter((yield from self.rater.rate(record.text, unrated)) if self.rater and unrated else ())
        return self._analysis(
            record, [next(rated) if self._is_to_rate(record, aspect) else (aspect, False) for aspect in found]
        )

    def _too_many(self, found: Sequence[Aspect]) -> InvalidRequest:
        return InvalidRequest(
            f"aspects: expected terms that occur at most {self.max_aspects} times together (ABSA_MAX_ASPECTS), "
            f"got {len(found)} occurrences"
        )

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

    def _is_to_rate(self, record: Record, aspect: Aspect) -> bool:
        return self.rater is not None and record.parameters.mode != "aspects" and aspect.polarity is None

    def _wanted(self, aspects: list[Aspect], record: Record) -> list[Aspect]:
        """The found aspects above the least score; with their polarity only if it is the one to be answered."""
        least = max(record.parameters.min_score, self.aspect.min_score if self.aspect else 0.0)
        kept = [aspect for aspect in aspects if aspect.score is None or aspect.score >= least]
        if isinstance(self.rater, JointStage) and record.parameters.mode != "aspects":
            return kept
        return [replace(aspect, label=None, polarity=None, polarity_score=None, scores=None) for aspect in kept]

    def _analysis(self, record: Record, rated: Sequence[Rated]) -> Analysis:
        is_truncated = record.truncated or any(truncated for _, truncated in rated)
        return Analysis(tuple(self._shown(aspect) for aspect, _ in rated), is_truncated)

    def _shown(self, aspect: Aspect) -> Aspect:
        """Only what the owner's `absa.json` lets out."""
        if not self.output.scores:
            aspect = replace(aspect, scores=None)
        return aspect if self.output.categories else replace(aspect, category=None)
