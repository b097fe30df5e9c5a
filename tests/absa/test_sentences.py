"""Sentences by the plain rule, and the ones that hold an aspect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.absa.sentences import enclosing_sentence, split_sentences

_REVIEWS = st.text(st.sampled_from("ab .!?。！？\n\r\t”)'…1"), max_size=60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good food. Bad service!  Fine", ["Good food.", "Bad service!", "Fine"]),
        ("He said “great!” Then left.", ["He said “great!”", "Then left."]),
        ("It cost $4.50 at joe.com today", ["It cost $4.50 at joe.com today"]),
        ("first line\nsecond line\r\n\r\nthird", ["first line", "second line", "third"]),
        ("好吃。服务不行！再见", ["好吃。", "服务不行！", "再见"]),
        ("what?! really...  yes", ["what?!", "really...", "yes"]),
        ("   ", []),
        ("", []),
    ],
)
def test_sentences_end_at_marks_and_line_breaks(text: str, expected: list[str]) -> None:
    """A mark ends a sentence only before a space; a line break always does."""
    assert [text[start:end] for start, end in split_sentences(text)] == expected


@given(_REVIEWS)
def test_sentences_hold_all_that_is_visible_in_order(text: str) -> None:
    """No sentence is empty or begins or ends with white space; only white space lies between them."""
    spans = split_sentences(text)
    position = 0
    for start, end in spans:
        assert not text[position:start].strip()
        assert text[start:end] == text[start:end].strip() != ""
        position = end
    assert not text[position:].strip()


@given(_REVIEWS, st.data())
def test_enclosing_sentence_holds_the_whole_aspect(text: str, data: st.DataObject) -> None:
    """Whatever span is asked for, what comes back holds it, and lies inside the text."""
    if not text:
        return
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    found = enclosing_sentence(split_sentences(text), start, end)
    assert 0 <= found[0] <= start < end <= found[1] <= len(text)


def test_enclosing_sentence_joins_those_an_aspect_spans() -> None:
    """An aspect over a sentence border is shown with both its sentences."""
    text = "One here. Dr. Pepper was flat. Three."
    start = text.index("Dr.")
    assert enclosing_sentence(split_sentences(text), start, start + len("Dr. Pepper")) == (10, 30)


@pytest.mark.parametrize("run", [".", " ", "!", "\n", ")", "。", ".'", ". "])
def test_long_runs_are_read_once(run: str) -> None:
    """20,000 dots or spaces hold Python's lock no longer than letters do; seconds, if each place began anew."""
    spans = split_sentences("good food" + run * 20_000 + "bad service")
    assert spans[0][0] == 0
    assert spans[-1][1] == len("good food" + run * 20_000 + "bad service")
