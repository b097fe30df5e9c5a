"""Windows over a long text, and the cut around an aspect, counted in tokens."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.absa.windows import Window, crop_around, plan_windows


@st.composite
def _plans(draw: st.DrawFn) -> tuple[int, int, int]:
    """Tokens, capacity, and an overlap of at most half the capacity, as the extractor asks for."""
    capacity = draw(st.integers(1, 40))
    return draw(st.integers(0, 300)), capacity, draw(st.integers(0, capacity // 2))


@pytest.mark.parametrize("tokens", [0, 1, 9, 10])
def test_text_that_fits_is_one_window(tokens: int) -> None:
    """Up to the capacity nothing is cut, not even at exactly its length."""
    assert plan_windows(tokens, capacity=10, overlap=4) == [Window(0, tokens, 0, tokens)]


def test_text_one_token_too_long_is_two_windows() -> None:
    """One token above the capacity begins a second window, which answers from the middle of the overlap on."""
    assert plan_windows(11, capacity=10, overlap=4) == [Window(0, 10, 0, 8), Window(6, 11, 8, 11)]


@given(_plans())
def test_every_token_is_answered_for_once(plan: tuple[int, int, int]) -> None:
    """The owned ranges follow each other without gap or overlap, each inside its window, none above the capacity."""
    tokens, capacity, overlap = plan
    windows = plan_windows(tokens, capacity=capacity, overlap=overlap)
    assert [index for window in windows for index in range(window.first, window.last)] == list(range(tokens))
    assert all(window.start <= window.first <= window.last <= window.end for window in windows)
    assert all(window.end - window.start <= capacity for window in windows)
    assert all(a.end - b.start == overlap for a, b in itertools.pairwise(windows))


@given(_plans())
def test_owner_sees_most_context(plan: tuple[int, int, int]) -> None:
    """No other window shows a token farther from a cut than the one that answers for it."""
    tokens, capacity, overlap = plan
    windows = plan_windows(tokens, capacity=capacity, overlap=overlap)

    def distance(window: Window, token: int) -> int:
        """Tokens to the nearer cut; the text's own ends are none."""
        left = token - window.start if window.start else tokens
        right = window.end - 1 - token if window.end < tokens else tokens
        return min(left, right)

    for owner in windows:
        for token in range(owner.first, owner.last):
            seen = [distance(window, token) for window in windows if window.start <= token < window.end]
            assert distance(owner, token) == max(seen)


@given(st.integers(0, 200), st.integers(1, 50), st.data())
def test_cut_holds_the_aspect_and_fills_the_room(tokens: int, capacity: int, data: st.DataObject) -> None:
    """The range is as long as room and text allow and holds the aspect, or its beginning where it is longer itself."""
    start = data.draw(st.integers(0, tokens))
    end = data.draw(st.integers(start, tokens))
    first, last = crop_around(tokens, start=start, end=end, capacity=capacity)
    assert 0 <= first <= last <= tokens
    assert last - first == min(tokens, capacity)
    assert first <= start
    assert min(end, start + capacity) <= last


def test_cut_leaves_the_aspect_in_the_middle() -> None:
    """As much is kept before the aspect as behind it, unless the text ends."""
    assert crop_around(100, start=50, end=52, capacity=12) == (45, 57)
    assert crop_around(100, start=1, end=2, capacity=12) == (0, 12)
    assert crop_around(100, start=98, end=99, capacity=12) == (88, 100)
