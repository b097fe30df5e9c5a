"""The comparison sees every kind of fault, and lets pass what rounding explains: both sides of every tolerance."""

from copy import deepcopy

import pytest

from tests.reference.comparison import check_edges, check_utf16, compare, compare_answers
from tests.reference.plain_reference import Rating, ReferenceAnswer, ReferenceAspect

TEXT = "😀 The food was great, the café bad."
RATING = Rating("positive", {"positive": 0.70002, "negative": 0.29998}, is_context_cut=False)
TIED = Rating("positive", {"positive": 0.500004, "negative": 0.499996}, is_context_cut=False)
REFERENCE = ReferenceAnswer((ReferenceAspect(6, 10, 0.9, RATING), ReferenceAspect(26, 30, 0.8, TIED)), ())


def aspect(term: str, start: int, score: float, rating: Rating) -> dict[str, object]:
    printed = {name: round(value, 4) for name, value in rating.scores.items()}
    named = {"polarity": rating.label, "label": rating.label, "polarity_score": printed[rating.label]}
    return {"term": term, "start": start, "end": start + len(term), "score": score, **named, "scores": printed}


@pytest.fixture
def answer():
    """What the server prints when it agrees with the reference."""
    return {"aspects": [aspect("food", 6, 0.9, RATING), aspect("café", 26, 0.8, TIED)], "truncated": False}


def test_equal_answers_have_no_difference(answer):
    """An answer that agrees passes every check."""
    assert [*compare("1", answer, REFERENCE)] == []
    assert [*compare_answers("1", answer, deepcopy(answer))] == []
    assert [*check_edges("1", TEXT, answer)] == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda aspects: aspects.pop(), "span (26, 30): missing"),
        (lambda aspects: aspects.append(aspect("bad", 31, 0.9, RATING)), "span (31, 34): unexpected"),
        (lambda aspects: aspects[0].update(end=9), "span (6, 9): unexpected"),
        (lambda aspects: aspects.reverse(), "order"),
        (lambda aspects: aspects.append(aspects[0]), "more than once"),
        (lambda aspects: aspects[0].update(polarity="negative"), "polarity"),
        (lambda aspects: aspects[0].update(label="LABEL_0"), "polarity"),
        (lambda aspects: aspects[0].update(score=0.9002), "score of"),
        (lambda aspects: aspects[0]["scores"].update(negative=0.2998), "scores of"),
        (lambda aspects: aspects[0].update(polarity_score=0.7002), "scores of"),
        (lambda aspects: aspects[0]["scores"].pop("negative"), "scores of"),
    ],
)
def test_difference_from_the_reference_is_told(answer, change, what):
    """Every way to differ from the reference is a difference, and none of them a near tie."""
    change(answer["aspects"])
    found = [*compare("1", answer, REFERENCE)]
    assert any(what in difference.what for difference in found)
    assert not any(difference.is_near_tie for difference in found)


def test_truncated_answer_differs_from_a_whole_one(answer):
    """`truncated` is compared, with the reference and between answers."""
    cut = answer | {"truncated": True}
    assert [*compare("1", cut, REFERENCE)] != []
    assert [*compare_answers("1", answer, cut)] != []


@pytest.mark.parametrize(("score", "differences"), [(0.90014, 0), (0.90016, 1)])
def test_score_may_be_off_by_the_tolerance_and_half_a_digit(answer, score, differences):
    """A printed score within 1e-4 and half a unit of its last digit is equal; a score farther off is not."""
    answer["aspects"][0]["score"] = score
    assert len([*compare("1", answer, REFERENCE)]) == differences


@pytest.mark.parametrize(("score", "differences"), [(0.9001, 0), (0.9002, 1)])
def test_printed_scores_may_differ_by_one_unit(answer, score, differences):
    """Two printed scores one unit of the last digit apart are equal; two units are not."""
    other = deepcopy(answer)
    other["aspects"][0]["score"] = score
    assert len([*compare_answers("1", answer, other)]) == differences


@pytest.mark.parametrize(("place", "is_near_tie"), [(0, False), (1, True)])
def test_other_polarity_is_a_near_tie_only_where_probabilities_are(answer, place, is_near_tie):
    """Another polarity is excused where the two likeliest are within 1e-5, and nowhere else."""
    answer["aspects"][place].update(polarity="negative", label="negative")
    assert [difference.is_near_tie for difference in compare("1", answer, REFERENCE)] == [is_near_tie]


@pytest.mark.parametrize(("tied_word", "is_near_tie"), [((26, 30), True), ((15, 20), False)])
def test_other_span_is_a_near_tie_only_at_an_undecided_word(answer, tied_word, is_near_tie):
    """A missing span is excused where one of its words is undecided, not where some other word is."""
    answer["aspects"].pop()
    reference = ReferenceAnswer(REFERENCE.aspects, (tied_word,))
    assert [difference.is_near_tie for difference in compare("1", answer, reference)] == [is_near_tie]


@pytest.mark.parametrize(
    ("term", "start"),
    [("meal", 6), (" food", 5), ("food ", 6), ("foo", 6), ("ood", 7), ("", 6), ("cafe", 26)],
)
def test_term_with_bad_edges_is_told(term, start):
    """A term that is other text, has white space around it, or stops inside a word, is a difference."""
    assert len([*check_edges("1", TEXT, {"aspects": [aspect(term, start, 0.9, RATING)]})]) == 1


def test_overlapping_and_unordered_spans_are_told(answer):
    """Spans that overlap, or are not in text order, are a difference."""
    answer["aspects"].reverse()
    assert len([*check_edges("1", TEXT, answer)]) == 1


def test_utf16_offsets_must_count_surrogate_pairs(answer):
    """The emoji before them moves both spans by one code unit: code-point offsets are told, UTF-16 ones pass."""
    assert [*check_utf16("1", TEXT, answer, REFERENCE)] != []
    for one in answer["aspects"]:
        one.update(start=one["start"] + 1, end=one["end"] + 1)
    assert [*check_utf16("1", TEXT, answer, REFERENCE)] == []
