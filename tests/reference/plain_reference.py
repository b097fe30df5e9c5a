"""What the two models say of a text, by the shortest honest way: one text at a time, plain transformers, float32.

Written from the policies' words (reference notes and docs), apart from the server's code, so that the server can be
held against it. It is slow and reads only the common kind of model: B/I/O tags, pairs of (context, aspect), labels
that are polarities by name, position ids that begin at nought. Knows no server and nothing of `absa_server`.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Encoding
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BatchEncoding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

OVERLAP_TOKENS = 96
# Two probabilities this close are decided by rounding: another order of the same additions may decide otherwise.
NEAR_TIE = 1e-5

# Marks with closing quotes or brackets, then space; or a line break; or a full stop of Chinese or Japanese.
_SENTENCE_END = re.compile(r"""(?<=[.!?])["'”’»)\]]*\s+|\s*[\r\n]\s*|(?<=[。！？])[”’」』）]*""")
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Rating:
    """The sentiment model's answer for one aspect: probability of each of its labels, and the likeliest of them.

    `is_context_cut`: the aspect's sentence was longer than the model.
    """

    label: str
    scores: dict[str, float]
    is_context_cut: bool


@dataclass(frozen=True, slots=True)
class ReferenceAspect:
    """One aspect: half-open span in code points, mean probability of the tags chosen for its words, its rating."""

    start: int
    end: int
    score: float
    rating: Rating


@dataclass(frozen=True, slots=True)
class ReferenceAnswer:
    """The aspects of one text in text order, and the words whose two likeliest tags are within `NEAR_TIE`."""

    aspects: tuple[ReferenceAspect, ...]
    near_ties: tuple[Span, ...]

    @property
    def is_truncated(self) -> bool:
        """Whether the sentiment model saw less than a whole sentence of some aspect."""
        return any(aspect.rating.is_context_cut for aspect in self.aspects)


@dataclass(frozen=True, slots=True)
class _Token:
    """A content token: the characters it stands for without white space, and the probability of each tag."""

    start: int
    end: int
    tags: tuple[float, ...]


class PlainReference:
    """The pair of models in `folder`/aspect and `folder`/sentiment."""

    def __init__(self, folder: Path) -> None:
        self._tagger = AutoModelForTokenClassification.from_pretrained(folder / "aspect", dtype=torch.float32).eval()
        self._rater = AutoModelForSequenceClassification.from_pretrained(
            folder / "sentiment", dtype=torch.float32
        ).eval()
        # Special tokens' names in a review are text.
        self._tagger_tokenizer = AutoTokenizer.from_pretrained(folder / "aspect", split_special_tokens=True)
        self._rater_tokenizer = AutoTokenizer.from_pretrained(folder / "sentiment", split_special_tokens=True)

    def analyze(self, text: str) -> ReferenceAnswer:
        """The aspects of `text`, found and rated."""
        words = _words_with_tokens(text, self._tokens(text))
        spans = _decode([self._tag(token) for _, token in words])
        aspects = []
        for first, last in spans:
            start, end = _trim(text, words[first][0][0], words[last - 1][0][1])
            score = sum(max(token.tags) for _, token in words[first:last]) / (last - first)
            aspects.append(ReferenceAspect(start, end, score, self.rate(text, start, end)))
        return ReferenceAnswer(tuple(aspects), tuple(span for span, token in words if _is_near_tie(token.tags)))

    def rate(self, text: str, start: int, end: int) -> Rating:
        """The polarity of the aspect at `start:end` of `text`."""
        context_start, context_end = sentence_around(text, start, end)
        context = text[context_start:context_end]
        encoding = self._rater_tokenizer(context, text[start:end], return_offsets_mapping=True)
        kept = self._fitting(encoding, start - context_start, end - context_start)
        inputs = {
            name: torch.tensor([[encoding[name][index] for index in kept]])
            for name in self._rater_tokenizer.model_input_names
        }
        probabilities = _probabilities(self._rater, inputs)[0]
        labels = [self._rater.config.id2label[index] for index in range(len(probabilities))]
        scores = dict(zip(labels, probabilities, strict=True))
        return Rating(max(labels, key=lambda label: scores[label]), scores, len(kept) < len(encoding["input_ids"]))

    def _tokens(self, text: str) -> list[_Token]:
        """Every content token of the text, answered for by the window in which it is farthest from an edge."""
        limit = _limit(self._tagger, self._tagger_tokenizer)
        capacity = limit - self._tagger_tokenizer.num_special_tokens_to_add()
        overlap = min(OVERLAP_TOKENS, capacity // 2)
        windows = self._tagger_tokenizer(
            text, truncation=True, max_length=limit, stride=overlap, return_overflowing_tokens=True
        ).encodings
        answers: dict[int, tuple[int, _Token]] = {}
        for number, window in enumerate(windows):
            probabilities = _probabilities(self._tagger, self._inputs(window))
            content = [index for index, special in enumerate(window.special_tokens_mask) if not special]
            for place, index in enumerate(content):
                from_edge = min(place, len(content) - 1 - place)
                position = number * (capacity - overlap) + place
                if position not in answers or from_edge >= answers[position][0]:
                    span = _without_space(text, *window.offsets[index])
                    answers[position] = (from_edge, _Token(*span, tuple(probabilities[index])))
        return [answers[position][1] for position in sorted(answers)]

    def _inputs(self, window: Encoding) -> dict[str, torch.Tensor]:
        attributes = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
        return {
            name: torch.tensor([getattr(window, attributes[name])]) for name in self._tagger_tokenizer.model_input_names
        }

    def _tag(self, token: _Token) -> str:
        likeliest = max(range(len(token.tags)), key=lambda tag: token.tags[tag])
        return str(self._tagger.config.id2label[likeliest])

    def _fitting(self, encoding: BatchEncoding, start: int, end: int) -> list[int]:
        """Indexes of the tokens that fit the model: all, or fewer of the context, with the aspect in its middle."""
        sequences = encoding.sequence_ids()
        context = [index for index, sequence in enumerate(sequences) if sequence == 0]
        excess = len(sequences) - _limit(self._rater, self._rater_tokenizer)
        if excess <= 0:
            return list(range(len(sequences)))
        room = len(context) - excess
        offsets = [encoding["offset_mapping"][index] for index in context]
        inside = [place for place, (left, right) in enumerate(offsets) if left < end and right > start]
        before = max(0, inside[0] - (room - len(inside)) // 2)
        first = min(before, len(context) - room)
        dropped = set(context[:first] + context[first + room :])
        return [index for index in range(len(sequences)) if index not in dropped]


def _limit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens that the model takes, special ones included."""
    return min(int(tokenizer.model_max_length), int(model.config.max_position_embeddings))


@torch.inference_mode()
def _probabilities(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> list[list[float]]:
    """Softmax of the logits of a batch of one: `(seq, labels)` of a tagger, `(1, labels)` of a classifier."""
    logits = model(**inputs).logits
    shares = torch.softmax(logits.float(), dim=-1)
    return (shares[0] if shares.ndim == 3 else shares).tolist()


def split_words(text: str) -> list[Span]:
    """Runs of letters and digits, or one other visible character; combining marks belong to what they stand on."""
    words: list[Span] = []
    is_open = False  # whether the last word is a run that the next letter continues
    for index, character in enumerate(text):
        if character.isspace():
            is_open = False
            continue
        if unicodedata.category(character).startswith("M") and words and words[-1][1] == index:
            words[-1] = (words[-1][0], index + 1)
            continue
        is_run = is_letter(character)
        if is_run and is_open:
            words[-1] = (words[-1][0], index + 1)
        else:
            words.append((index, index + 1))
        is_open = is_run
    return words


def is_letter(character: str) -> bool:
    """Whether it is a letter or digit of a script that writes words apart."""
    return unicodedata.category(character)[0] in "LN" and not unicodedata.name(character, "").startswith(_UNSPACED)


def sentence_around(text: str, start: int, end: int) -> Span:
    """The sentence that holds `start:end`, without white space around it; several where the span crosses their ends."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text) if match.end() > 0]
    left = max((place for place in ends if place <= start), default=0)
    right = min((place for place in ends if place >= end), default=len(text))
    return _without_space(text, left, right)


def _words_with_tokens(text: str, tokens: list[_Token]) -> list[tuple[Span, _Token]]:
    """Each word with its first token; words that share a token are one word, words that no token sees are none."""
    found: list[tuple[Span, list[int]]] = []
    for start, end in split_words(text):
        own = [index for index, token in enumerate(tokens) if token.start < end and start < token.end]
        if own and found and own[0] in found[-1][1]:
            (joined_start, _), others = found.pop()
            found.append(((joined_start, end), sorted({*others, *own})))
        elif own:
            found.append(((start, end), own))
    return [(span, tokens[own[0]]) for span, own in found]


def _decode(tags: list[str]) -> list[Span]:
    """Half-open ranges of words: B opens; I goes on, or opens after O and after another kind of aspect."""
    spans: list[Span] = []
    previous = "O"
    for index, tag in enumerate(tags):
        if tag.startswith("I") and previous != "O" and previous[1:] == tag[1:]:
            spans[-1] = (spans[-1][0], index + 1)
        elif tag != "O":
            spans.append((index, index + 1))
        previous = tag
    return spans


def _is_near_tie(probabilities: tuple[float, ...]) -> bool:
    second, first = sorted(probabilities)[-2:]
    return first - second < NEAR_TIE


def _without_space(text: str, start: int, end: int) -> Span:
    inside = [index for index in range(start, end) if not text[index].isspace()]
    return (inside[0], inside[-1] + 1) if inside else (start, start)


def _trim(text: str, start: int, end: int) -> Span:
    """Without emoji and invisible characters at the edges, which a vocabulary may glue to a word as one token."""
    inside = [index for index in range(start, end) if not _is_picture(text[index])]
    return (inside[0], inside[-1] + 1) if inside else (start, end)


def _is_picture(character: str) -> bool:
    is_selector = "\ufe00" <= character <= "\ufe0f"
    return character.isspace() or is_selector or unicodedata.category(character) in {"So", "Sk", "Cf", "Cc"}
