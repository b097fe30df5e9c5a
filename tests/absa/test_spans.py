"""Decoding: from tags of words to spans, for any sequence of tags whatever."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from absa_server.absa.labels import TagSet, parse_tags
from absa_server.absa.spans import TaggedWord, decode_spans, group_words, polarity_scores, rate_span
from absa_server.absa.words import split_words
from absa_server.types import Aspect

_BIOES = ("O", "B", "I", "E", "S")
_JOINT = ("O", "B-POS", "I-POS", "B-NEG", "I-NEG")


def _tag_set(*names: str) -> TagSet:
    return parse_tags(dict(enumerate(names)))


def _words(text: str, tags: list[int], labels: int, confidence: float = 0.9) -> list[TaggedWord]:
    rest = (1 - confidence) / (labels - 1)
    return [
        TaggedWord(start, end, np.array([confidence if i == tag else rest for i in range(labels)], np.float32))
        for (start, end), tag in zip(split_words(text), tags, strict=True)
    ]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("OOO", []),
        ("OBI", [(1, 3)]),
        ("BBI", [(0, 1), (1, 3)]),
        ("IIO", [(0, 2)]),
        ("OIO", [(1, 2)]),
        ("BIE", [(0, 3)]),
        ("SSO", [(0, 1), (1, 2)]),
        ("SIO", [(0, 1), (1, 2)]),
        ("BEI", [(0, 2), (2, 3)]),
        ("OEE", [(1, 2), (2, 3)]),
        ("BOI", [(0, 1), (2, 3)]),
    ],
)
def test_groups_follow_the_lenient_rule(tags: str, expected: list[tuple[int, int]]) -> None:
    """I after O opens; E, S and what follows them close; nothing inside is dropped."""
    tag_set = _tag_set(*_BIOES)
    assert group_words([tag_set.tags[_BIOES.index(letter)] for letter in tags]) == expected


def test_category_splits_and_polarity_does_not() -> None:
    """Another category is another aspect; another polarity is the same one, disputed."""
    categories = _tag_set("O", "B-Food", "I-Food", "B-Price", "I-Price").tags
    assert group_words([categories[1], categories[4]]) == [(0, 1), (1, 2)]
    polarities = _tag_set(*_JOINT).tags
    assert group_words([polarities[1], polarities[4]]) == [(0, 2)]


@settings(deadline=None)
@given(st.text(st.sampled_from("ab é\u0301牛😀.\n-'1"), max_size=30), st.randoms(use_true_random=False))
def test_any_tags_give_ordered_spans_inside_the_text(text: str, random: object) -> None:
    """Spans follow each other without overlap, are slices of the text, and no space or emoji stands at an edge."""
    tag_set = _tag_set(*_BIOES)
    words = _words(text, [random.randrange(5) for _ in split_words(text)], 5)  # type: ignore[attr-defined]
    position = 0
    for aspect in decode_spans(text, words, tag_set):
        assert aspect.start is not None
        assert aspect.end is not None
        assert position <= aspect.start < aspect.end <= len(text)
        assert aspect.term == text[aspect.start : aspect.end] == aspect.term.strip()
        assert aspect.score == pytest.approx(0.9)
        assert "😀" not in (aspect.term[0], aspect.term[-1]) or set(aspect.term) <= set("😀 \n\u0301")
        position = aspect.end


def test_score_is_the_mean_probability_of_the_chosen_tags() -> None:
    """Of the span's words, each by the tag it got."""
    words = _words("battery", [1], 3, 0.8) + [
        TaggedWord(word.start + 8, word.end + 8, word.probabilities) for word in _words("life", [2], 3, 0.6)
    ]
    [aspect] = decode_spans("battery life", words, _tag_set("O", "B", "I"))
    assert (aspect.term, aspect.score) == ("battery life", pytest.approx(0.7))
    assert aspect.polarity is aspect.label is aspect.scores is None


def test_polarity_of_a_disputed_span_is_the_one_with_more_probability() -> None:
    """Two sure words outvote one, and one sure word outvotes two that waver; the label is the model's own name."""
    text, tag_set = "one two three", _tag_set(*_JOINT)
    [aspect] = decode_spans(text, _words(text, [1, 4, 2], 5), tag_set)
    assert (aspect.polarity, aspect.label) == ("positive", "POS")
    assert aspect.scores is not None
    assert sum(aspect.scores.values()) == pytest.approx(1)
    assert aspect.polarity_score == aspect.scores["positive"] > 0.9
    wavering = np.array([0.0, 0.52, 0.0, 0.48, 0.0], np.float32)
    sure = np.array([0.0, 0.0, 0.01, 0.0, 0.99], np.float32)
    spans = split_words(text)
    words = [TaggedWord(*span, row) for span, row in zip(spans, [wavering, sure, wavering], strict=True)]
    assert decode_spans(text, words, tag_set)[0].polarity == "negative"


def test_polarity_of_a_word_with_no_probability_is_finite() -> None:
    """Probabilities of exactly nought leave scores that are numbers."""
    tag_set = _tag_set(*_JOINT)
    scores = polarity_scores([TaggedWord(0, 1, np.array([1, 0, 0, 0, 0], np.float32))], tag_set)
    assert scores == {"positive": pytest.approx(0.5), "negative": pytest.approx(0.5)}


def test_given_aspect_is_rated_on_its_own_words() -> None:
    """Only the words that the span touches count; without a place, all do; what the aspect carried stays."""
    text, tag_set = "good food bad bad service", _tag_set(*_JOINT)
    words = _words(text, [0, 1, 3, 3, 3], 5)
    food = rate_span(Aspect("food", 5, 9, 0.4, "Food"), words, tag_set)
    assert (food.polarity, food.score, food.category) == ("positive", 0.4, "Food")
    assert rate_span(Aspect("service", 18, 25), words, tag_set).polarity == "negative"
    assert rate_span(Aspect("place", None, None), words, tag_set).polarity == "negative"
