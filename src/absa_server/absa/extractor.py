"""Stage one: from a text to its aspect terms, through a token classifier. Knows no engine, no batch and no request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from absa_server.absa.labels import TagSet
from absa_server.absa.spans import TaggedWord, decode_spans
from absa_server.absa.tokenization import ModelInput, TextTokenizer, Tokens
from absa_server.absa.windows import Window, plan_windows
from absa_server.absa.words import lowered, split_words
from absa_server.types import Aspect, FloatArray

WordLevel = Literal["first", "mean", "token"]


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A text ready for the model: one row of input for each window."""

    text: str
    tokens: Tokens
    windows: tuple[Window, ...]
    inputs: tuple[ModelInput, ...]


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """A word, or words that share a token: half-open text span, and half-open range of its tokens."""

    start: int
    end: int
    first_token: int
    last_token: int


@dataclass(frozen=True, slots=True)
class Extractor:
    """Encodes texts for a token classifier and decodes its logits.

    `max_tokens` counts special tokens; `overlap` is in tokens. `word_level` "first" reads a word's tag from its first
    sub-word, which is right for both training conventions (labels on the first sub-word, or on all); "mean" averages;
    "token" lets every token speak for itself, as transformers' `aggregation_strategy="simple"`.
    """

    tokenizer: TextTokenizer
    tag_set: TagSet
    max_tokens: int
    overlap: int = 96
    word_level: WordLevel = "first"
    lowercase: bool = False

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """The model's input for each text."""
        read = [lowered(text) for text in texts] if self.lowercase else list(texts)
        return [self._encode(text, tokens) for text, tokens in zip(texts, self.tokenizer.encode(read), strict=True)]

    def _encode(self, text: str, tokens: Tokens) -> EncodedText:
        template = self.tokenizer.single
        capacity = self.max_tokens - template.special_tokens
        windows = plan_windows(len(tokens), capacity=capacity, overlap=min(self.overlap, capacity // 2))
        inputs = tuple(template.build(tokens.ids[window.start : window.end]) for window in windows)
        return EncodedText(text, tokens, tuple(windows), inputs)

    def decode(self, encoded: EncodedText, logits: Sequence[FloatArray]) -> list[Aspect]:
        """The aspects of one text from the logits of its windows, as `tag_words` takes them."""
        return decode_spans(encoded.text, self.tag_words(encoded, logits), self.tag_set)

    def tag_words(self, encoded: EncodedText, logits: Sequence[FloatArray]) -> list[TaggedWord]:
        """The words of one text from the logits of its windows, each `(seq, labels)`, special tokens included."""
        skipped = self.tokenizer.single.first
        own = [
            rows[skipped + window.first - window.start : skipped + window.last - window.start]
            for window, rows in zip(encoded.windows, logits, strict=True)
        ]
        probabilities = _softmax(np.concatenate(own))
        if self.word_level == "token":
            words = token_words(encoded.tokens)
        else:
            words = align_words(split_words(encoded.text), encoded.tokens)
        return [TaggedWord(word.start, word.end, self._read(probabilities, word)) for word in words]

    def _read(self, probabilities: FloatArray, word: AlignedWord) -> FloatArray:
        if self.word_level == "mean":
            mean: FloatArray = probabilities[word.first_token : word.last_token].mean(axis=0)
            return mean
        first: FloatArray = probabilities[word.first_token]
        return first


def align_words(words: Sequence[tuple[int, int]], tokens: Tokens) -> list[AlignedWord]:
    """The words that some token sees, each with its tokens; a word whose beginning has no token of its own is joined.

    A token may cover several words, or a word and the beginning of the next (an emoji glued to its neighbour as one
    unknown piece, CJK characters merged by SentencePiece, `£1` of `£13`): the model says one thing of all of them.
    One that only reaches into a word (byte-level pieces end inside characters) leaves that word to the token that
    begins where it does.
    """
    aligned: list[AlignedWord] = []
    spans = tokens.spans
    first = 0
    for start, end in words:
        while first < len(spans) and (spans[first][1] <= start or spans[first][0] == spans[first][1]):
            first += 1
        last = first
        while last < len(spans) and spans[last][0] < end:
            last += 1
        begins = next((i for i in range(first, last) if start <= spans[i][0] < spans[i][1]), None)
        is_shared = last > first and spans[first][0] < start and (begins is None or spans[begins][0] > start)
        if is_shared and aligned:
            joined = aligned.pop()
            aligned.append(AlignedWord(joined.start, end, joined.first_token, last))
        elif begins is not None:
            aligned.append(AlignedWord(start, end, begins, last))
    return aligned


def token_words(tokens: Tokens) -> list[AlignedWord]:
    """Each token as a word of its own, but for those that cover nothing new: further pieces of one character."""
    words: list[AlignedWord] = []
    covered = 0
    for index, (start, end) in enumerate(tokens.spans):
        if max(start, covered) < end:
            words.append(AlignedWord(max(start, covered), end, index, index + 1))
            covered = end
    return words


def _softmax(logits: FloatArray) -> FloatArray:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: FloatArray = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities
