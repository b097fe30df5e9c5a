"""The stages of the chain, each with the engine that runs it: finding aspects, and two ways of rating them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from absa_server.absa.batches import BatchRunner
from absa_server.absa.classifier import AspectInText, Classifier
from absa_server.absa.extractor import EncodedText, Extractor
from absa_server.absa.spans import TaggedWord, rate_span
from absa_server.types import Aspect, FloatArray

Check = Callable[[], None]
T = TypeVar("T")

# Texts, or pairs, that are encoded together. Higher: rows of likelier length in a batch; more memory, later stops.
PORTION_ITEMS = 512


class Rater(Protocol):
    """Whatever tells the polarity of an aspect in its text."""

    def rate(self, found: Sequence[tuple[str, Aspect]], check: Check) -> list[tuple[Aspect, bool]]:
        """Each (text, aspect) as the rated aspect, and whether the model had to be shown less than its policy wants."""


@dataclass(frozen=True, slots=True)
class AspectStage:
    """Stage one. Aspects below `min_score` are never answered, whatever a caller asks."""

    extractor: Extractor
    runner: BatchRunner
    min_score: float = 0.0

    def extract(self, texts: Sequence[str], check: Check) -> list[list[Aspect]]:
        """The aspects of each text; a joint tagger's come with their polarity.

        `check` runs before each batch and stops the work by raising.
        """
        return [
            self.extractor.decode(text, logits)
            for portion in _portions(texts, check)
            for text, logits in self._run(portion, check)
        ]

    def tag(self, texts: Sequence[str], check: Check) -> list[list[TaggedWord]]:
        """The words of each text with the probabilities of their tags."""
        return [
            self.extractor.tag_words(text, logits)
            for portion in _portions(texts, check)
            for text, logits in self._run(portion, check)
        ]

    def _run(self, texts: Sequence[str], check: Check) -> list[tuple[EncodedText, list[FloatArray]]]:
        encoded = self.extractor.encode(texts)
        logits = iter(self.runner.run([row for text in encoded for row in text.inputs], check))
        return [(text, [next(logits) for _ in text.inputs]) for text in encoded]


@dataclass(frozen=True, slots=True)
class SentimentStage:
    """Stage two: a model that reads an aspect in its context."""

    classifier: Classifier
    runner: BatchRunner

    def rate(self, found: Sequence[tuple[str, Aspect]], check: Check) -> list[tuple[Aspect, bool]]:
        """See `Rater`."""
        return [rated for portion in _portions(found, check) for rated in self._rate(portion, check)]

    def _rate(self, found: Sequence[tuple[str, Aspect]], check: Check) -> list[tuple[Aspect, bool]]:
        encoded = self.classifier.encode([_in_text(text, aspect) for text, aspect in found])
        logits = self.runner.run([one.input for one in encoded], check)
        return [
            (self.classifier.decode(aspect, row), one.truncated)
            for (_, aspect), row, one in zip(found, logits, encoded, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class JointStage:
    """Rates given aspects by what a joint tagger says of their words, or of all words where an aspect has no place."""

    tagger: AspectStage

    def rate(self, found: Sequence[tuple[str, Aspect]], check: Check) -> list[tuple[Aspect, bool]]:
        """See `Rater`. Nothing is cut: the tagger reads long texts in windows."""
        texts = list(dict.fromkeys(text for text, _ in found))
        words = dict(zip(texts, self.tagger.tag(texts, check), strict=True))
        return [(rate_span(aspect, words[text], self.tagger.extractor.tag_set), False) for text, aspect in found]


def _portions(items: Sequence[T], check: Check) -> Iterator[Sequence[T]]:
    """`items` some at a time, so that the largest request is encoded within bounds and can be stopped."""
    for start in range(0, len(items), PORTION_ITEMS):
        check()
        yield items[start : start + PORTION_ITEMS]


def _in_text(text: str, aspect: Aspect) -> AspectInText:
    term = aspect.term if aspect.start is None else text[aspect.start : aspect.end]
    return AspectInText(text, term, aspect.start, aspect.end)
