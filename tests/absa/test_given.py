"""Given aspects: exact spans as they are, terms at every whole-word occurrence."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.absa.given import find_term, resolve_given
from absa_server.absa.words import split_words, word_borders
from absa_server.types import Aspect, GivenAspect


@pytest.mark.parametrize(
    ("text", "term", "expected"),
    [
        ("The food, food-court and foodies", "food", [(4, 8), (10, 14)]),
        ("FOOD and Food", "food", [(0, 4), (9, 13)]),
        ("Food and food", "food", [(9, 13)]),
        ("the battery life, battery  life", "battery life", [(4, 16)]),
        ("I like C++ not C+++", "C++", [(7, 10), (15, 18)]),
        ("waiter's and waiters", "waiter", [(0, 6)]),
        ("cafe\u0301 or cafe", "cafe", [(9, 13)]),
        ("cafe\u0301 or cafe", "cafe\u0301", [(0, 5)]),
        ("wi-fi6 wi-fi", "wi-fi", [(7, 12)]),
        ("服务员很好，服务不行", "服务", [(0, 2), (6, 8)]),
        ("iPhone很好", "iPhone", [(0, 6)]),
        ("ラーメンは美味", "ラーメン", [(0, 4)]),
        ("か\u3099", "か", []),
        ("good 👍🏽 food", "👍", []),
        ("a.c abc", "a.c", [(0, 3)]),
        ("a a a", "a a", [(0, 3)]),
        ("ba a a", "a a", [(3, 6)]),
        ("Straße", "STRASSE", []),
        ("nothing here", "food", []),
        (" food ", " food ", [(1, 5)]),
    ],
)
def test_term_is_found_at_whole_words(text: str, term: str, expected: list[tuple[int, int]]) -> None:
    """Not inside a longer word; in unspaced scripts a character is a word; another case counts only if none fits."""
    assert find_term(text, term, word_borders(text)) == expected


@given(
    st.text(st.sampled_from("ab1 -'é\u0301牛😀"), max_size=20),
    st.text(st.sampled_from("ab1 -'é牛"), min_size=1, max_size=4),
)
def test_occurrences_are_in_order_and_at_borders_of_words(text: str, term: str) -> None:
    """Each occurrence is the term, begins where a word begins and ends where one ends; none overlap."""
    found = find_term(text, term, word_borders(text))
    words = split_words(text)
    assert all(text[start:end].casefold() == term.strip().casefold() for start, end in found)
    assert {start for start, _ in found} <= {start for start, _ in words}
    assert {end for _, end in found} <= {end for _, end in words}
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(found))


@given(st.lists(st.sampled_from(["food", "battery life", "wi-fi", "Ωmega", "牛肉面"]), min_size=1, max_size=5))
def test_every_word_of_a_list_is_found_where_it_stands(terms: list[str]) -> None:
    """In a text of terms with commas between, each term is found as often as it occurs."""
    text = ", ".join(terms)
    assert sum(len(find_term(text, term, word_borders(text))) for term in set(terms)) == len(terms)


def test_term_that_repeats_itself_is_found_without_a_search_of_its_square() -> None:
    """The longest legal text of one letter, and a term half its length: minutes, if every place were tried."""
    text = "a" * 20_000
    assert find_term(text, "a" * 10_000, word_borders(text)) == []
    spaced = "a " * 10_000
    assert find_term(spaced, "a " * 2_500 + "a", word_borders(spaced)) == [(0, 5001), (5002, 10003), (10004, 15005)]


def test_white_space_is_found_nowhere() -> None:
    """An empty term does not occur between all letters."""
    borders = word_borders("some text")
    assert find_term("some text", "", borders) == find_term("some text", "  ", borders) == []


def test_occurrences_keep_what_the_aspect_carried() -> None:
    """One aspect for each occurrence, with the given score, category and label, and the text's own wording."""
    carried = GivenAspect("food", score=0.5, category="Food", label="x")
    assert resolve_given("Food, food", [GivenAspect("FOOD", score=0.5, category="Food", label="x")]) == [
        Aspect("Food", 0, 4, 0.5, "Food", "x"),
        Aspect("food", 6, 10, 0.5, "Food", "x"),
    ]
    assert resolve_given("nothing", [carried]) == [Aspect("food", None, None, 0.5, "Food", "x")]


def test_spans_are_taken_as_they_are_in_the_given_order() -> None:
    """A span is not looked for; its own term passes through, else it is the slice."""
    found = resolve_given("good food", [GivenAspect(None, 5, 9), GivenAspect("meal", 0, 4)])
    assert found == [Aspect("food", 5, 9), Aspect("meal", 0, 4)]


def test_no_aspects_are_none() -> None:
    """An empty list asks for nothing."""
    assert resolve_given("food", []) == []
