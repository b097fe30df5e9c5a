"""Objects cut into parts."""

from hypothesis import given
from hypothesis import strategies as st

from model_loader.pieces import FIRST_PART_BYTES, cut

MB = 1 << 20


def test_parts_begin_small() -> None:
    """Two of each size up to the largest; the last has what is left."""
    sizes = [end - begin for begin, end in cut(40 * MB + 1, 8 * MB)]
    assert sizes == [1 * MB, 1 * MB, 2 * MB, 2 * MB, 4 * MB, 4 * MB, 8 * MB, 8 * MB, 8 * MB, 2 * MB + 1]


def test_parts_may_be_even() -> None:
    """As those of a folder's files are."""
    assert cut(9 * MB, 8 * MB, first_bytes=8 * MB) == [(0, 8 * MB), (8 * MB, 9 * MB)]


def test_nothing_has_no_parts() -> None:
    """An empty object is asked for nowhere."""
    assert cut(0, 8 * MB) == []
    assert cut(1, 8 * MB) == [(0, 1)]
    assert cut(FIRST_PART_BYTES, 8 * MB) == [(0, FIRST_PART_BYTES)]


@given(size_bytes=st.integers(1, 400 * MB), part_bytes=st.integers(64 << 10, 64 * MB))
def test_parts_are_the_object(size_bytes: int, part_bytes: int) -> None:
    """Each byte once, in order; no part is empty or larger than asked for."""
    parts = cut(size_bytes, part_bytes)
    assert [begin for begin, _ in parts] == [0, *(end for _, end in parts[:-1])]
    assert parts[-1][1] == size_bytes
    assert all(0 < end - begin <= part_bytes for begin, end in parts)
