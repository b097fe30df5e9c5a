"""Words of a text: runs of letters and digits, single characters of unspaced scripts, single signs."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.absa.words import split_words, trim


def _words(text: str) -> list[str]:
    return [text[start:end] for start, end in split_words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("battery-life isn't  bad", ["battery", "-", "life", "isn", "'", "t", "bad"]),
        ("iPhone11 4.5", ["iPhone11", "4", ".", "5"]),
        ("cafe\u0301s", ["cafe\u0301s"]),
        ("牛肉面很好", ["牛", "肉", "面", "很", "好"]),
        ("iPhone很好", ["iPhone", "很", "好"]),
        ("ラーメン", ["ラ", "ー", "メ", "ン"]),
        ("か\u3099き", ["か\u3099", "き"]),
        ("가격이 싸다", ["가격이", "싸다"]),
        ("food😀👍🏽!", ["food", "😀", "👍🏽", "!"]),
        ("👨‍👩‍👧 ❤️", ["👨‍👩‍👧", "❤️"]),
        ("\n\t\u00a0 \u3000", []),
        ("", []),
    ],
)
def test_words_are_what_a_reader_would_count(text: str, expected: list[str]) -> None:
    """Hyphen and apostrophe separate; accents, digits and joined emoji do not."""
    assert _words(text) == expected


@given(st.text())
def test_words_cover_all_that_is_visible_and_nothing_twice(text: str) -> None:
    """In order, without overlap, and every character outside is white space."""
    words = split_words(text)
    assert all(start < end for start, end in words)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(words))
    covered = {index for start, end in words for index in range(start, end)}
    assert all(text[index].isspace() for index in range(len(text)) if index not in covered)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" food\n", "food"),
        ("😀food👍🏽❤️", "food"),
        ("food \u200b\ufe0f", "food"),
        ("C++", "C++"),
        ("$5", "$5"),
        ("😀", "😀"),
        (" 😀 ", "😀"),
        ("\u0600 ", "\u0600"),
        ("  ", "  "),
        ("good 😀 food", "good 😀 food"),
    ],
)
def test_trim_takes_space_and_pictures_from_the_edges(text: str, expected: str) -> None:
    """A term keeps its own signs, loses what a tokenizer glued to it, and never becomes empty."""
    start, end = trim(text, 0, len(text))
    assert text[start:end] == expected


@given(st.text(min_size=1), st.data())
def test_trim_stays_inside_the_span_and_is_stable(text: str, data: st.DataObject) -> None:
    """The trimmed span is not empty, lies within the old one, and trimming again changes nothing."""
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    inner = trim(text, start, end)
    assert start <= inner[0] < inner[1] <= end
    assert trim(text, *inner) == inner
