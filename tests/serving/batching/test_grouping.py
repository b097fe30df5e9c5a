"""Batches of similar rows, whatever the lengths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.serving.batching.grouping import similar_rows

_NUMBERS_OF_ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
_LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=40).map(sorted)


@given(_LENGTHS, st.data(), st.integers(1, 500))
def test_group_holds_its_anchor_within_the_limit(lengths: list[int], data: st.DataObject, limit_tokens: int) -> None:
    """A range inside the queue with the anchor in it; larger than the limit only where the anchor alone is."""
    anchor = data.draw(st.integers(0, len(lengths) - 1))
    group = similar_rows(lengths, anchor, limit_tokens=limit_tokens)
    assert 0 <= group.start <= anchor < group.stop <= len(lengths)
    assert len(group) == 1 or lengths[group.stop - 1] * len(group) <= limit_tokens
    assert len(group) in _NUMBERS_OF_ROWS


@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 500), st.data())
def test_rows_of_one_length_fill_the_limit(length: int, rows: int, limit_tokens: int, data: st.DataObject) -> None:
    """Nothing is left out that costs no padding, but for a number of rows that comes often."""
    anchor = data.draw(st.integers(0, rows - 1))
    group = similar_rows([length] * rows, anchor, limit_tokens=limit_tokens)
    assert len(group) == max(n for n in _NUMBERS_OF_ROWS if n <= max(1, min(rows, limit_tokens // length)))


@pytest.mark.parametrize(
    ("lengths", "anchor", "group"),
    [
        ([8, 8, 8, 200, 200], 0, range(3)),  # 8 beside 200 would be padding
        ([8, 8, 8, 200, 200], 4, range(3, 5)),
        ([8, 60], 0, range(2)),  # a pass costs more than this padding
        ([20, 21, 22, 23], 2, range(4)),
        ([8], 0, range(1)),
        ([8, 8, 8, 8, 8], 0, range(4)),  # shapes of few kinds come again
        ([8, 8, 8, 8, 8], 4, range(1, 5)),  # and the one whose turn it is is never the one left over
    ],
)
def test_rows_join_while_they_pay_for_their_padding(lengths: list[int], anchor: int, group: range) -> None:
    """A pass costs its padded tokens and a few more."""
    assert similar_rows(lengths, anchor, limit_tokens=4096) == group
