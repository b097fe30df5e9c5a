"""Stage two: the polarity of an aspect in its context, through a sequence classifier. Knows no engine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from absa_server.absa.sentences import enclosing_sentence, split_sentences
from absa_server.absa.tokenization import ModelInput, TextTokenizer, Tokens
from absa_server.absa.windows import crop_around
from absa_server.errors import InvalidModel
from absa_server.types import Aspect, FloatArray, IntArray

Context = Literal["sentence", "text"]
Activation = Literal["softmax", "sigmoid"]


@dataclass(frozen=True, slots=True)
class PolarityLabel:
    """A class of the classifier: the model's own name, and the polarity it stands for (its own name where unknown)."""

    label: str
    polarity: str


@dataclass(frozen=True, slots=True)
class AspectInText:
    """An aspect to rate. start and end are None where the term does not occur: then the whole text is its context."""

    text: str
    term: str
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class EncodedAspect:
    """One row of the model's input. `truncated`: part of the context, or of the aspect, did not fit."""

    input: ModelInput
    truncated: bool


@dataclass(frozen=True, slots=True)
class Phrase:
    """How a segment is worded around its text: ids before and after, each `(n,)`."""

    before: IntArray
    after: IntArray

    def __len__(self) -> int:
        return len(self.before) + len(self.after)

    def around(self, ids: IntArray) -> IntArray:
        """`ids` between the words of the phrase."""
        return np.concatenate([self.before, ids, self.after])


@dataclass(frozen=True, slots=True)
class Classifier:
    """Encodes (context, aspect) for a sequence classifier and decodes its logits.

    `max_tokens` counts special tokens. `template` words the aspect's segment ("what do you think of the {aspect} ?");
    `markers` are put around the aspect inside the context. `is_pair` False: the context alone is shown, so that only
    markers tell which aspect is meant.
    """

    tokenizer: TextTokenizer
    labels: tuple[PolarityLabel, ...]
    max_tokens: int
    is_pair: bool = True
    aspect_first: bool = False
    template: str | None = None
    markers: tuple[str, str] | None = None
    activation: Activation = "softmax"
    context: Context = "sentence"

    def __post_init__(self) -> None:
        """Raises `InvalidModel` when an aspect and its text could not both be shown, however short they are."""
        template = self.tokenizer.pair if self.is_pair else self.tokenizer.single
        room = self.max_tokens - template.special_tokens
        [words] = self.tokenizer.encode([self._worded("")])
        markers = sum(len(self.tokenizer.marker_ids(marker)) for marker in self.markers or ())
        if (self.is_pair and len(words) >= room // 2) or markers >= room - (room // 2 if self.is_pair else 0):
            raise InvalidModel(
                f"sentiment: {self.max_tokens} tokens leave no room for a text and its aspect beside "
                f"{template.special_tokens} special tokens, {len(words)} of the template and {markers} of the markers; "
                "raise sentiment.max_length in absa.json, or shorten template and markers"
            )

    def encode(self, aspects: Sequence[AspectInText]) -> list[EncodedAspect]:
        """The model's input for each aspect."""
        contexts = self._contexts(aspects)
        strings = list(dict.fromkeys([aspect.text[a:b] for aspect, (a, b) in zip(aspects, contexts, strict=True)]))
        worded = list(dict.fromkeys(self._worded(aspect.term) for aspect in aspects))
        tokens = dict(zip(strings + worded, self.tokenizer.encode(strings + worded), strict=True))
        return [
            self._encode(aspect, start, tokens[aspect.text[start:end]], tokens[self._worded(aspect.term)])
            for aspect, (start, end) in zip(aspects, contexts, strict=True)
        ]

    def _contexts(self, aspects: Sequence[AspectInText]) -> list[tuple[int, int]]:
        """What each aspect's text is cut down to before it is tokenized: half-open spans."""
        sentences: dict[str, list[tuple[int, int]]] = {}
        spans = []
        for aspect in aspects:
            if aspect.start is None or aspect.end is None or self.context == "text":
                spans.append((0, len(aspect.text)))
                continue
            if aspect.text not in sentences:
                sentences[aspect.text] = split_sentences(aspect.text)
            spans.append(enclosing_sentence(sentences[aspect.text], aspect.start, aspect.end))
        return spans

    def _worded(self, term: str) -> str:
        return self.template.replace("{aspect}", term) if self.template else term

    def _encode(self, aspect: AspectInText, context_start: int, context: Tokens, worded: Tokens) -> EncodedAspect:
        template = self.tokenizer.pair if self.is_pair else self.tokenizer.single
        room = self.max_tokens - template.special_tokens
        aspect_ids = worded.ids[: room // 2] if self.is_pair else worded.ids[:0]
        is_aspect_cut = self.is_pair and len(aspect_ids) < len(worded)
        span = None if aspect.start is None or aspect.end is None else (aspect.start, aspect.end)
        relative = None if span is None else (span[0] - context_start, span[1] - context_start)
        context_ids, is_context_cut = self._fit(context, relative, room - len(aspect_ids))
        segments = (aspect_ids, context_ids) if self.aspect_first else (context_ids, aspect_ids)
        row = template.build(*segments) if self.is_pair else template.build(context_ids)
        return EncodedAspect(row, is_aspect_cut or is_context_cut)

    def _fit(self, context: Tokens, span: tuple[int, int] | None, room: int) -> tuple[IntArray, bool]:
        """Ids of the context, cut around the aspect to `room` tokens, markers included; and whether it was cut."""
        markers = Phrase(*map(self.tokenizer.marker_ids, self.markers)) if self.markers and span else None
        capacity = room - (len(markers) if markers else 0)
        if markers is None and len(context) <= capacity:
            return context.ids, False
        start, end = (0, 0) if span is None else context.covering(*span)
        first, last = crop_around(len(context), start=start, end=end, capacity=capacity)
        is_cut = last - first < len(context)
        if markers is None:
            return context.ids[first:last], is_cut
        end = min(end, last)
        marked = markers.around(context.ids[start:end])
        return np.concatenate([context.ids[first:start], marked, context.ids[end:last]]), is_cut

    def decode(self, aspect: Aspect, logits: FloatArray) -> Aspect:
        """`aspect` with its polarity, from one row of logits `(labels,)`."""
        values = _activate(logits.astype(np.float64), self.activation)
        best = self.labels[int(values.argmax())]
        scores = {label.polarity: float(value) for label, value in zip(self.labels, values, strict=True)}
        return replace(
            aspect, label=best.label, polarity=best.polarity, polarity_score=scores[best.polarity], scores=scores
        )


def _activate(
    logits: np.ndarray[tuple[int, ...], np.dtype[np.float64]], activation: Activation
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Probabilities from logits `(labels,)`: shares of one by softmax, or each on its own by sigmoid."""
    if activation == "sigmoid":
        return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))  # 1 / (1 + e^-x), without overflow
    shares = np.exp(logits - logits.max())
    return np.asarray(shares / shares.sum())
