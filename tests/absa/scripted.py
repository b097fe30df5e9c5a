"""Engines that answer as told: what a model would say of a text whose aspects are known beforehand."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from tokenizers import Tokenizer

from absa_server.types import FloatArray, IntArray
from tests.absa.gold import GoldText
from tests.absa.tag_schemes import TagScheme, outside, tags_of_words, words_of

# Which sub-words of a word a model was trained to tag; of the others it says nonsense.
Convention = Literal["all", "first"]


class ScriptedEngine:
    """Logits by the exact row of ids; a row that nobody wrote a script for is an error."""

    resident_bytes = 0
    is_padding_free = False

    def __init__(self, script: Mapping[tuple[int, ...], FloatArray]) -> None:
        self._script = script

    def infer(self, input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray | None) -> FloatArray:
        rows = [tuple(row[mask == 1].tolist()) for row, mask in zip(input_ids, attention_mask, strict=True)]
        answers = [self._script[row] for row in rows]
        padded = np.zeros((*input_ids.shape, answers[0].shape[-1]), np.float32)
        for index, answer in enumerate(answers):
            padded[index, : len(answer)] = answer
        return padded

    def close(self) -> None:
        return None


def script(
    tokenizer: Tokenizer, gold: GoldText, scheme: TagScheme, convention: Convention
) -> tuple[tuple[int, ...], FloatArray]:
    """The row of ids that `gold` should become, and logits `(seq, labels)` that tag its aspects by `scheme`.

    Built from the tokenizer's own encoding, special tokens and all, and the words' tags; not by the code under test.
    """
    encoding = tokenizer.encode(gold.text)
    tags = _tags_of_tokens(gold, encoding.offsets, scheme, convention)
    is_special = encoding.special_tokens_mask
    wanted = [outside(scheme) if special else tag for tag, special in zip(tags, is_special, strict=True)]
    logits = np.zeros((len(wanted), len(scheme.labels)), np.float32)
    logits[np.arange(len(wanted)), [scheme.labels.index(tag) for tag in wanted]] = 8.0
    return tuple(content_ids(tokenizer, encoding.ids, encoding.special_tokens_mask)), logits


def content_ids(tokenizer: Tokenizer, ids: Sequence[int], special_mask: Sequence[int]) -> list[int]:
    """`ids` with special tokens that the text itself spells out replaced by the unknown token."""
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    unknown = next((tokenizer.token_to_id(name) for name in ("[UNK]", "<unk>") if tokenizer.token_to_id(name)), None)
    return [
        unknown if number in special and not mask else number for number, mask in zip(ids, special_mask, strict=True)
    ]


def _tags_of_tokens(
    gold: GoldText, offsets: Sequence[tuple[int, int]], scheme: TagScheme, convention: Convention
) -> list[str]:
    words, tags = words_of(gold.text), tags_of_words(gold.text, gold.aspects, scheme)
    inside = next(name for name in scheme.labels if scheme.renamed.get(name, name) not in {"O", "EQ", "[CLS]", "[SEP]"})
    nonsense = {True: outside(scheme), False: inside}
    chosen, seen = [], set()
    for start, end in offsets:
        touched = [i for i, (first, last) in enumerate(words) if first < end and last > start]
        tagged = [i for i in touched if tags[i] != outside(scheme)] or touched
        if not tagged:  # white space: no word's first sub-word, whatever the model says of it
            chosen.append(inside if convention == "first" else outside(scheme))
            continue
        is_first = touched[0] not in seen  # the word in which the token begins
        seen.add(touched[0])
        tag = tags[tagged[0]]
        chosen.append(tag if is_first or convention == "all" else nonsense[tag != outside(scheme)])
    return chosen
