"""The chain: texts to aspects to polarities, for any mix of records, in input order. Knows no HTTP and no engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from absa_server.absa.absa_json import OutputSection
from absa_server.absa.batches import BatchRunner
from absa_server.absa.classifier import AspectInText, Classifier
from absa_server.absa.extractor import Extractor
from absa_server.absa.given import resolve_given
from absa_server.errors import InvalidRequest
from absa_server.types import Analysis, Aspect, Record

Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class AspectStage:
    """Stage one with the engine that runs it. Aspects below `min_score` are never answered, whatever a caller asks."""

    extractor: Extractor
    runner: BatchRunner
    min_score: float = 0.0

    def extract(self, texts: Sequence[str], check: Check) -> list[list[Aspect]]:
        """The aspects of each text."""
        encoded = self.extractor.encode(texts)
        logits = iter(self.runner.run([row for text in encoded for row in text.inputs], check))
        return [self.extractor.decode(text, [next(logits) for _ in text.inputs]) for text in encoded]


@dataclass(frozen=True, slots=True)
class SentimentStage:
    """Stage two with the engine that runs it."""

    classifier: Classifier
    runner: BatchRunner

    def rate(self, found: Sequence[tuple[str, Aspect]], check: Check) -> list[tuple[Aspect, bool]]:
        """Each (text, aspect) as the rated aspect, and whether the model had to be shown less than its policy wants."""
        encoded = self.classifier.encode([_in_text(text, aspect) for text, aspect in found])
        logits = self.runner.run([one.input for one in encoded], check)
        return [
            (self.classifier.decode(aspect, row), one.truncated)
            for (_, aspect), row, one in zip(found, logits, encoded, strict=True)
        ]


def _in_text(text: str, aspect: Aspect) -> AspectInText:
    term = aspect.term if aspect.start is None else text[aspect.start : aspect.end]
    return AspectInText(text, term, aspect.start, aspect.end)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Up to two stages. A joint tagger is a whole pipeline by itself: its aspects leave stage one already rated."""

    aspect: AspectStage | None
    sentiment: SentimentStage | None
    is_joint: bool
    output: OutputSection

    @property
    def is_aspect_only(self) -> bool:
        """Whether this is the first half of a chain whose second half is another container."""
        return self.sentiment is None and not self.is_joint

    def analyze(self, records: Sequence[Record], check: Check = lambda: None) -> list[Analysis | InvalidRequest]:
        """One analysis a record, in order; in its place, what is wrong with a record that cannot be answered.

        `check` is called between batches and stops the work by raising. Raises `EngineFailed`, and what `check` raises.
        """
        refusals = [self._refusal(record) for record in records]
        accepted = [record for record, refusal in zip(records, refusals, strict=True) if refusal is None]
        analyses = iter(self._analyze(accepted, check))
        return [refusal or next(analyses) for refusal in refusals]

    def _refusal(self, record: Record) -> InvalidRequest | None:
        mode, is_given = record.parameters.mode, record.aspects is not None
        if mode == "sentiment" and not is_given:
            return InvalidRequest("aspects: missing; mode sentiment rates the aspects that come with the text")
        if self.aspect is None and not is_given:
            return InvalidRequest("aspects: missing; this model has no aspect stage and rates only given aspects")
        if self.sentiment is None and mode == "sentiment":
            return InvalidRequest(
                "parameters.mode: sentiment needs a sentiment model, which this artifact does not have"
            )
        if self.is_joint and self.sentiment is None and is_given and mode == "chain" and record.aspects:
            return InvalidRequest(
                "aspects: given, but this artifact's joint tagger rates only the aspects it finds itself"
            )
        return None

    def _analyze(self, records: Sequence[Record], check: Check) -> list[Analysis]:
        found = self._found(records, check)
        is_rated = [self.sentiment is not None and record.parameters.mode != "aspects" for record in records]
        pairs = [
            (record.text, aspect)
            for record, aspects, rate in zip(records, found, is_rated, strict=True)
            if rate
            for aspect in aspects
        ]
        rated = iter(self.sentiment.rate(pairs, check) if self.sentiment and pairs else ())
        return [
            self._analysis(record, [next(rated) if rate else (aspect, False) for aspect in aspects])
            for record, aspects, rate in zip(records, found, is_rated, strict=True)
        ]

    def _found(self, records: Sequence[Record], check: Check) -> list[list[Aspect]]:
        """The aspects of each record, not yet rated: given ones resolved, the others extracted together."""
        unknown = [record.text for record in records if record.aspects is None]
        extracted = iter(self.aspect.extract(unknown, check) if self.aspect and unknown else ())
        return [
            self._above_min_score(next(extracted), record)
            if record.aspects is None
            else resolve_given(record.text, record.aspects)
            for record in records
        ]

    def _above_min_score(self, aspects: list[Aspect], record: Record) -> list[Aspect]:
        least = max(record.parameters.min_score, self.aspect.min_score if self.aspect else 0.0)
        return [aspect for aspect in aspects if aspect.score is None or aspect.score >= least]

    def _analysis(self, record: Record, rated: Sequence[tuple[Aspect, bool]]) -> Analysis:
        is_truncated = record.truncated or any(truncated for _, truncated in rated)
        return Analysis(tuple(self._shown(aspect, record) for aspect, _ in rated), is_truncated)

    def _shown(self, aspect: Aspect, record: Record) -> Aspect:
        """Only what the owner's `absa.json` and the request's mode let out."""
        if record.parameters.mode == "aspects" and self.is_joint:
            aspect = replace(aspect, label=None, polarity=None, polarity_score=None, scores=None)
        if not self.output.scores:
            aspect = replace(aspect, scores=None)
        return aspect if self.output.categories else replace(aspect, category=None)
