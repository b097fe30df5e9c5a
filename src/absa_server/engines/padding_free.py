"""Rows laid end to end in a few long ones, as networks without padding take them. Pure numpy; knows no engine.

A mask keeps each row to itself, and its positions begin anew; transformers calls this packing. Less than a tenth is
spent on padding, and shapes are few. See docs/engines.md.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from absa_server.engines.buckets import bucket_length
from absa_server.types import FloatArray, IntArray

# The inputs of a network without padding, of n rows in R lines of W tokens: (R, W) three times, (R, 1, W, W) and (n,).
INPUTS = ("input_ids", "token_type_ids", "position_ids", "attention_mask", "first_tokens")
# What every network without padding has, and no other.
MARK = "position_ids"
# Tokens of a line, where no row is longer. Higher: attention costs more, since it is computed between all of a line and
# masked after; lower: a few more tokens of padding.
LINE_TOKENS = 96
# The number of first tokens is a multiple of this, so that kernels for it are found again.
_COUNT_STEP = 4
# Far below what softmax tells from minus infinity, and finite, so that it survives being scaled.
_UNSEEN = np.float32(-1e9)


@dataclass(frozen=True, slots=True)
class Lines:
    """A padded batch in lines: `inputs` by name, and how to find each row's answer in that of the network."""

    inputs: dict[str, IntArray | FloatArray]
    _is_token: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    _places: IntArray

    def unpack(self, logits: FloatArray) -> FloatArray:
        """`(R, W, labels)` as `(batch, seq, labels)`, zero at padding; `(n, labels)` as `(batch, labels)`."""
        if logits.ndim == 2:
            return logits[: len(self._is_token)]
        padded = np.zeros((*self._is_token.shape, logits.shape[-1]), np.float32)
        padded[self._is_token] = logits.reshape(-1, logits.shape[-1])[self._places]
        return padded


def pack(input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray) -> Lines:
    """The rows of a padded batch, `(batch, seq)` each, in lines.

    What is left of a line is a row of its own, whose answer nobody reads, and so are the last of `first_tokens`.
    """
    is_token = attention_mask.astype(bool)
    lengths = np.count_nonzero(is_token, axis=1)
    begins, lines, width = lay_out(lengths.tolist())
    row_of_token = np.repeat(np.arange(len(lengths)), lengths)
    own_position = np.arange(len(row_of_token)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    places = np.asarray(begins)[row_of_token] + own_position
    columns = np.zeros((3, lines * width), np.int64)
    columns[:, places] = input_ids[is_token], token_type_ids[is_token], own_position
    owners = np.full(lines * width, -1)
    owners[places] = row_of_token
    firsts = np.zeros(-(-len(lengths) // _COUNT_STEP) * _COUNT_STEP, np.int64)
    firsts[: len(begins)] = begins
    arrays = (*columns.reshape(3, lines, width), _mask(owners.reshape(lines, width)), firsts)
    return Lines(dict(zip(INPUTS, arrays, strict=True)), is_token, places)


def lay_out(lengths: Sequence[int]) -> tuple[list[int], int, int]:
    """Where each row begins in the lines' tokens, counted through; how many lines there are, and how wide they are.

    The longest rows are placed first, each where most room is: lines come out nearly equally full.
    """
    lines = -(-sum(lengths) // max(LINE_TOKENS, *lengths))
    filled = [(0, line) for line in range(lines)]
    places = [(0, 0)] * len(lengths)
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        tokens, line = filled[0]
        places[row] = (line, tokens)
        heapq.heapreplace(filled, (tokens + lengths[row], line))
    width = bucket_length(max(tokens for tokens, _ in filled))
    return [line * width + tokens for line, tokens in places], lines, width


def _mask(owners: IntArray) -> FloatArray:
    """What is added to the attention of each token, the second of the last two axes, by each, the first of them."""
    mask: FloatArray = np.where(owners[:, None, :, None] == owners[:, None, None, :], np.float32(0), _UNSEEN)
    return mask
