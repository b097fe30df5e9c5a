"""A tokenizer as the domain needs it: token ids with offsets into the original string, and templates of special tokens.

Uses the `tokenizers` library alone. Strings are encoded without special tokens, which are added from a template; so
windows and pairs can be cut at token level, and a literal `[SEP]` in a review stays text.
"""

import hashlib
import json
import threading
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from operator import itemgetter
from weakref import WeakValueDictionary

import numpy as np
from tokenizers import Encoding, Tokenizer

from absa_server.errors import InvalidModel
from absa_server.types import IntArray

_PROBE = "a"
_UNKNOWN_PROBE = "𐎀"  # a cuneiform letter: a vocabulary without its unknown token fails here, not on a caller's text


Spans = list[tuple[int, int]]


@dataclass(slots=True)
class Tokens:
    """Content tokens of one string: ids `(n,)`, and spans when they are first asked for: stage two rarely does."""

    ids: IntArray
    find_spans: Callable[[], Spans]
    _spans: Spans | None = field(default=None, init=False, repr=False)

    @property
    def spans(self) -> Spans:
        """Half-open code-point spans of the tokens, without white space around them.

        A token that covers nothing visible (a lone leading-space piece, a zero-width one) has an empty span.
        """
        if self._spans is None:
            self._spans = self.find_spans()
        return self._spans

    def __len__(self) -> int:
        return len(self.ids)

    def covering(self, start: int, end: int) -> tuple[int, int]:
        """Half-open range of the tokens that overlap `start:end`; empty, at the place in question, where none does."""
        touched = [index for index, (first, last) in enumerate(self.spans) if first < end and last > start]
        if touched:
            return touched[0], touched[-1] + 1
        place = bisect_right(self.spans, start, key=itemgetter(1))
        return place, place


@dataclass(frozen=True, slots=True)
class ModelInput:
    """One unpadded row of a batch: ids and token types, each `(n,)`, special tokens included."""

    ids: IntArray
    types: IntArray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def identity(self) -> bytes:
        """Equal for two rows exactly when a model must answer them alike."""
        return self.ids.tobytes() + self.types.tobytes()


@dataclass(frozen=True)  # without slots: they have no place for what is computed once
class Template:
    """Special tokens around `n` segments, as `n + 1` pieces of (id, token type); and the token type of each segment."""

    pieces: tuple[tuple[tuple[int, int], ...], ...]
    segment_types: tuple[int, ...]

    @cached_property
    def special_tokens(self) -> int:
        """How many tokens the template itself takes from a model's length."""
        return sum(len(piece) for piece in self.pieces)

    @cached_property
    def _arrays(self) -> list[tuple[IntArray, IntArray]]:
        """Ids and token types of each piece."""
        return [
            (np.array([token for token, _ in piece], np.int64), np.array([kind for _, kind in piece], np.int64))
            for piece in self.pieces
        ]

    @property
    def first(self) -> int:
        """Index at which the first segment begins."""
        return len(self.pieces[0])

    def build(self, *segments: IntArray) -> ModelInput:
        """A row of the model's input from the ids of its segments, each `(n,)`."""
        ids: list[IntArray] = []
        types: list[IntArray] = []
        for index, (piece_ids, piece_types) in enumerate(self._arrays):
            ids.append(piece_ids)
            types.append(piece_types)
            if index < len(segments):
                ids.append(segments[index])
                types.append(np.full(len(segments[index]), self.segment_types[index], np.int64))
        return ModelInput(np.concatenate(ids), np.concatenate(types))


class TextTokenizer:
    """A fast tokenizer with its special tokens taken apart. Nothing changes after the start: threads may share it."""

    def __init__(self, tokenizer_json: str) -> None:
        """Raises `InvalidModel` when `tokenizer_json` is no tokenizer, or one that turns text into nothing."""
        try:
            self._tokenizer = Tokenizer.from_str(tokenizer_json)
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
            self._tokenizer.encode_special_tokens = True  # special tokens' names in a review are text, not commands
            probes = [self._tokenizer.encode(_PROBE), self._tokenizer.encode(_PROBE, _PROBE)]
            self._tokenizer.encode(_UNKNOWN_PROBE)
        except Exception as error:  # the library raises bare Exception
            raise InvalidModel(f"tokenizer.json cannot be used by the tokenizers library: {error}") from error
        self.single = _template(probes[0], segments=1)
        self.pair = _template(probes[1], segments=2)
        self._unknown = _unknown_id(self._tokenizer, json.loads(tokenizer_json)["model"])
        self._special = {
            number
            for number, token in self._tokenizer.get_added_tokens_decoder().items()
            if token.special and number != self._unknown
        }

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of each text, without special tokens. Releases the interpreter's lock while it works."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [self._tokens(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]

    def _tokens(self, text: str, encoding: Encoding) -> Tokens:
        ids: list[int] = encoding.ids
        if self._unknown is not None and not self._special.isdisjoint(ids):
            # Unigram models hold special tokens as pieces like any other, and so find a literal `[SEP]` all the same.
            ids = [self._unknown if number in self._special else number for number in ids]
        return Tokens(np.array(ids, np.int64), partial(_spans, text, encoding))

    def marker_ids(self, marker: str) -> IntArray:
        """Ids of a marker such as `[B-ASP]`: its own id if the vocabulary has one, else the ids of its text."""
        own = self._tokenizer.token_to_id(marker)
        return np.array([own], np.int64) if own is not None else self.encode([marker])[0].ids


_shared: WeakValueDictionary[bytes, TextTokenizer] = WeakValueDictionary()
_sharing = threading.Lock()


def shared_tokenizer(tokenizer_json: str) -> TextTokenizer:
    """The one tokenizer of equal files, while anybody has it: models tuned from one base bring the same file.

    Reading a file takes 20 ms for 30,000 words, during which no other thread runs Python, and its words stay in memory.
    Raises what `TextTokenizer` raises.
    """
    key = hashlib.sha256(tokenizer_json.encode()).digest()
    with _sharing:
        found = _shared.get(key)
        if found is None:
            found = _shared[key] = TextTokenizer(tokenizer_json)
        return found


def _unknown_id(tokenizer: Tokenizer, model: Mapping[str, object]) -> int | None:
    """Id of the unknown token, which kinds of model tell in two ways; None where there is none (byte-level ones)."""
    if isinstance(model.get("unk_id"), int):
        return int(str(model["unk_id"]))
    return tokenizer.token_to_id(str(model["unk_token"])) if model.get("unk_token") else None


def _spans(text: str, encoding: Encoding) -> Spans:
    return [_without_space(text, start, end) for start, end in encoding.offsets]


def _without_space(text: str, start: int, end: int) -> tuple[int, int]:
    """SentencePiece families count the space (or line break) before a word as part of its first token."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _template(probe: Encoding, *, segments: int) -> Template:
    """The special tokens that the tokenizer's own post-processor puts around `segments` segments."""
    pieces: list[list[tuple[int, int]]] = [[]]
    kinds: list[int] = []
    for token, kind, segment in zip(probe.ids, probe.type_ids, probe.sequence_ids, strict=True):
        if segment is None:
            pieces[-1].append((token, kind))
        elif segment == len(kinds):
            kinds.append(kind)
            pieces.append([])
    if len(kinds) != segments:
        raise InvalidModel(
            f"tokenizer.json turns the letter {_PROBE!r} into no token; its vocabulary does not fit its model"
        )
    return Template(tuple(tuple(piece) for piece in pieces), tuple(kinds))
