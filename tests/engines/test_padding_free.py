"""Rows in lines as arrays: every token once, at its place, seen by its own row alone, and found again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from absa_server.engines.buckets import bucket_length
from absa_server.engines.padding_free import INPUTS, LINE_TOKENS, lay_out, pack
from absa_server.types import IntArray

_LENGTHS = st.lists(st.integers(1, 200), min_size=1, max_size=24)


def _padded(lengths: list[int]) -> tuple[IntArray, IntArray, IntArray]:
    """Ids that are all different, each with its row's number as its type; padding of 99s."""
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    ids = np.where(mask, np.arange(mask.size).reshape(mask.shape) + 1000, 99)
    types = np.where(mask, np.arange(len(lengths))[:, None], 99)
    return ids, mask, types


@given(_LENGTHS)
def test_rows_lie_in_lines_without_overlap(lengths: list[int]) -> None:
    """Each row in one line, within it; lines are no wider than the fullest one needs."""
    begins, lines, width = lay_out(lengths)
    owners = np.zeros(lines * width, np.int64)
    for begin, length in zip(begins, lengths, strict=True):
        assert begin // width == (begin + length - 1) // width
        owners[begin : begin + length] += 1
    assert owners.max() == 1
    filled = int(owners.reshape(lines, width).sum(axis=1).max())
    assert filled <= width == bucket_length(filled)


@pytest.mark.parametrize(
    ("lengths", "lines"), [([LINE_TOKENS], 1), ([LINE_TOKENS, 1], 2), ([300], 1), ([300, 5], 2), ([48, 48, 48], 2)]
)
def test_lines_are_as_many_as_their_tokens_need(lengths: list[int], lines: int) -> None:
    """On both sides of a full line; a row that is longer than one makes all lines so."""
    assert lay_out(lengths)[1] == lines


@given(st.lists(st.integers(8, 40), min_size=12, max_size=24))
def test_lines_of_many_rows_have_little_padding(lengths: list[int]) -> None:
    """What padding costs is bounded: less than the longest row and the rounding (lines of this width), a line."""
    _, lines, width = lay_out(lengths)
    assert lines * width - sum(lengths) < lines * (max(lengths) + 8)


@settings(deadline=None)
@given(_LENGTHS)
def test_every_token_is_seen_by_its_own_row_alone(lengths: list[int]) -> None:
    """Ids and types are at the same place, positions begin anew, the mask is open within one row only."""
    given_ids, mask, types = _padded(lengths)
    lines = pack(given_ids, mask, types)
    assert tuple(lines.inputs) == INPUTS
    ids, kinds, positions, unseen, firsts = (lines.inputs[name] for name in INPUTS)
    assert sorted(ids[ids > 0].tolist()) == sorted(given_ids[mask == 1].tolist())
    for row, first in enumerate(firsts[: len(lengths)].tolist()):
        line, begin = divmod(first, ids.shape[1])
        own = slice(begin, begin + lengths[row])
        np.testing.assert_array_equal(ids[line, own], given_ids[row, : lengths[row]])
        assert (kinds[line, own] == row).all()
        np.testing.assert_array_equal(positions[line, own], np.arange(lengths[row]))
        sees = unseen[line, 0, own] == 0
        assert sees[:, own].all()
        assert sees.sum() == lengths[row] ** 2
    assert (unseen == 0).any(axis=-1).all(), "softmax over nothing is not a number"
    assert len(firsts) % 4 == 0 <= len(firsts) - len(lengths) < 4


@settings(deadline=None)
@given(_LENGTHS)
def test_answers_find_their_rows_again(lengths: list[int]) -> None:
    """Of tokens: at their place, zero at padding. Of rows: in the rows' order."""
    ids, mask, types = _padded(lengths)
    lines = pack(ids, mask, types)
    of_tokens = lines.unpack(lines.inputs["input_ids"][..., None].astype(np.float32))
    np.testing.assert_array_equal(of_tokens[..., 0], np.where(mask, ids, 0))
    firsts = lines.inputs["input_ids"].reshape(-1)[lines.inputs["first_tokens"]]
    of_rows = lines.unpack(firsts[:, None].astype(np.float32))
    np.testing.assert_array_equal(of_rows[:, 0], ids[:, 0])
