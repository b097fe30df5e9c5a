"""The reference itself, on texts whose right answers are known: without it, two equal answers may both be wrong."""

import pytest

from tests.reference.plain_reference import PlainReference, sentence_around, split_words


@pytest.fixture(scope="module")
def reference(tiny_models):
    """The tiny models, run plainly."""
    return PlainReference(tiny_models)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  It's 2nd-rate.", ["It", "'", "s", "2nd", "-", "rate", "."]),
        ("cafe\u0301 naïve", ["cafe\u0301", "naïve"]),
        ("寿司 ok", ["寿", "司", "ok"]),
        ("food😀!", ["food", "😀", "!"]),
        (" \n\t", []),
    ],
)
def test_words_are_runs_of_letters_or_single_signs(text, words):
    """Runs of letters and digits stay whole with their combining marks; every other visible character stands alone."""
    assert [text[start:end] for start, end in split_words(text)] == words


@pytest.mark.parametrize(
    ("text", "term", "sentence"),
    [
        ("Great. The food was bad! Awful.", "food", "The food was bad!"),
        ('She said "the food was bad." The rest was fine.', "food", 'She said "the food was bad."'),
        ("Great\n  the food was bad  \nAwful", "food", "the food was bad"),
        ("It cost 2.50 for food", "food", "It cost 2.50 for food"),
        ("  Bad food", "food", "Bad food"),
        ("Go to Mr. Wu for food. Really.", "Mr. Wu", "Go to Mr. Wu for food."),
    ],
)
def test_context_is_the_sentence_of_the_aspect(text, term, sentence):
    """A sentence ends at a mark with closing quotes and space, or at a line break; it has no white space around it."""
    start, end = sentence_around(text, text.index(term), text.index(term) + len(term))
    assert text[start:end] == sentence


@pytest.mark.parametrize(
    ("text", "aspects"),
    [
        ("The spicy tuna roll was great.", [("spicy tuna roll", "positive")]),
        ("The food was bad. The staff was okay.", [("food", "negative"), ("staff", "neutral")]),
        ("we will come again.", []),
    ],
)
def test_aspects_of_known_words_are_right(reference, text, aspects):
    """The tiny models know these words, so the reference finds and rates exactly what stands there."""
    answer = reference.analyze(text)
    assert [(text[one.start : one.end], one.rating.label) for one in answer.aspects] == aspects


def test_every_aspect_of_a_long_text_is_found(reference):
    """A text of many windows gives the same aspects at each of its places: none is lost, cut or doubled."""
    sentence = "The food was bad. "
    answer = reference.analyze(sentence * 40)
    assert [(one.start, one.end) for one in answer.aspects] == [(18 * n + 4, 18 * n + 8) for n in range(40)]
    assert not answer.is_truncated


def test_sentence_longer_than_the_model_is_cut_around_the_aspect(reference):
    """The rating of an aspect in an endless sentence says that its context was cut, and still tells its polarity."""
    text = "we will come again and " * 30 + "the food was bad" + " and we will come again" * 30
    rating = reference.rate(text, text.index("food"), text.index("food") + 4)
    assert rating.is_context_cut
    assert rating.label == "negative"
