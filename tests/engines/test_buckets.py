"""Lengths rounded up to few, even ones, and columns filled up to them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.engines.buckets import bucket_length, pad_columns

LENGTHS = st.integers(1, 4096)


@pytest.mark.parametrize(
    ("length", "rounded"),
    [(1, 8), (8, 8), (9, 16), (63, 64), (64, 64), (65, 72), (128, 128), (129, 144), (256, 256), (257, 288), (512, 512)],
)
def test_lengths_are_rounded_up(length: int, rounded: int) -> None:
    """Both sides of each step, and of the lengths where the step doubles."""
    assert bucket_length(length, None) == rounded


@given(LENGTHS, st.none() | LENGTHS)
def test_rounding_keeps_the_row_and_the_limit(length: int, longest: int | None) -> None:
    """Never shorter, never above what the model takes, a multiple of 8 elsewhere, and little waste."""
    rounded = bucket_length(length, longest)
    assert rounded >= length
    if longest is None or rounded < longest:
        assert rounded % 8 == 0
    elif length <= longest:
        assert rounded == longest
    assert rounded - length < max(8, length / 8)
    assert bucket_length(rounded, longest) == rounded


def test_buckets_are_few() -> None:
    """32 of them up to 512 tokens."""
    assert len({bucket_length(length, 512) for length in range(1, 513)}) == 32


def test_columns_are_filled_each_with_its_own() -> None:
    """One array of all, the same values at their places, fills behind."""
    ids, mask = np.array([[5, 6], [7, 1]]), np.array([[1, 1], [1, 0]])
    padded = pad_columns([ids, mask], 4, (1, 0))
    np.testing.assert_array_equal(padded[0], [[5, 6, 1, 1], [7, 1, 1, 1]])
    np.testing.assert_array_equal(padded[1], [[1, 1, 0, 0], [1, 0, 0, 0]])
    np.testing.assert_array_equal(pad_columns([ids], 2, (1,))[0], ids)
