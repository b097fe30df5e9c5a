"""The stages of the chain, each with the model that runs it: finding aspects, and two ways of rating them.

A stage's work is a chain (`chains`): it encodes, asks for rows, and decodes what it is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from absa_server.absa.batches import BatchRunner
from absa_server.absa.chains import Rows, Steps
from absa_server.absa.classifier import AspectInText, Classifier
from absa_server.absa.extractor import Extractor
from absa_server.absa.spans import TaggedWord, rate_span
from absa_server.types import Aspect

# Aspects of one text that are encoded together. Higher: rows of likelier length in a batch; more memory.
PORTION_PAIRS = 256

Rated = tuple[Aspect, bool]


class Rater(Protocol):
    """Whatever tells the polarity of an aspect in its text."""

    def rate(self, text: str, aspects: Sequence[Aspect]) -> Steps[list[Rated]]:
        """Each aspect rated, and whether the model had to be shown less than its policy wants."""


@dataclass(frozen=True, slots=True)
class AspectStage:
    """Stage one. Aspects below `min_score` are never answered, whatever a caller asks."""

    extractor: Extractor
    runner: BatchRunner
    min_score: float = 0.0

    def extract(self, text: str) -> Steps[list[Aspect]]:
        """The aspects of a text; a joint tagger's come with their polarity."""
        [encoded] = self.extractor.encode([text])
        logits = yield Rows(self.runner, encoded.inputs)
        return self.extractor.decode(encoded, logits)

    def tag(self, text: str) -> Steps[list[TaggedWord]]:
        """The words of a text with the probabilities of their tags."""
        [encoded] = self.extractor.encode([text])
        logits = yield Rows(self.runner, encoded.inputs)
        return self.extractor.tag_words(encoded, logits)


@dataclass(frozen=True, slots=True)
class SentimentStage:
    """Stage two: a model that reads an aspect in its context."""

    classifier: Classifier
    runner: BatchRunner

    def rate(self, text: str, aspects: Sequence[Aspect]) -> Steps[list[Rated]]:
        """See `Rater`."""
        rated: list[Rated] = []
        for start in range(0, len(aspects), PORTION_PAIRS):
            portion = aspects[start : start + PORTION_PAIRS]
            encoded = self.classifier.encode([_in_text(text, aspect) for aspect in portion])
            logits = yield Rows(self.runner, [one.input for one in encoded])
            rated += [
                (self.classifier.decode(aspect, row), one.truncated)
                for aspect, row, one in zip(portion, logits, encoded, strict=True)
            ]
        return rated


@dataclass(frozen=True, slots=True)
class JointStage:
    """Rates given aspects by what a joint tagger says of their words, or of all words where an aspect has no place."""

    tagger: AspectStage

    def rate(self, text: str, aspects: Sequence[Aspect]) -> Steps[list[Rated]]:
        """See `Rater`. Nothing is cut: the tagger reads long texts in windows."""
        words = yield from self.tagger.tag(text)
        return [(rate_span(aspect, words, self.tagger.extractor.tag_set), False) for aspect in aspects]


def _in_text(text: str, aspect: Aspect) -> AspectInText:
    term = aspect.term if aspect.start is None else text[aspect.start : aspect.end]
    return AspectInText(text, term, aspect.start, aspect.end)
