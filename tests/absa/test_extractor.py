"""Stage one apart from any network: windows over long texts, words and the tokens that speak for them."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from absa_server.absa.extractor import AlignedWord, EncodedText, Extractor, WordLevel, align_words, token_words
from absa_server.absa.labels import parse_tags
from absa_server.absa.tokenization import TextTokenizer, Tokens
from absa_server.types import FloatArray
from tests.absa.families import FAMILIES

TAGS = parse_tags({0: "O", 1: "B-ASP", 2: "I-ASP"})


def _tokens(*spans: tuple[int, int]) -> Tokens:
    return Tokens(np.arange(len(spans)), lambda: list(spans))


@pytest.mark.parametrize(
    ("words", "spans", "expected"),
    [
        ([(0, 4), (5, 9)], [(0, 2), (2, 4), (5, 9)], [AlignedWord(0, 4, 0, 2), AlignedWord(5, 9, 2, 3)]),
        ([(0, 4), (4, 5)], [(0, 5)], [AlignedWord(0, 5, 0, 1)]),
        ([(0, 5)], [(0, 4)], [AlignedWord(0, 5, 0, 1)]),
        ([(0, 1), (1, 2), (2, 3)], [(0, 1), (1, 3)], [AlignedWord(0, 1, 0, 1), AlignedWord(1, 3, 1, 2)]),
        ([(0, 1), (1, 3)], [(0, 2), (2, 3)], [AlignedWord(0, 3, 0, 2)]),
        ([(1, 5)], [(1, 1), (1, 5)], [AlignedWord(1, 5, 1, 2)]),
        ([(0, 2), (3, 5)], [(0, 2), (2, 2), (3, 5)], [AlignedWord(0, 2, 0, 1), AlignedWord(3, 5, 2, 3)]),
        ([(0, 1), (2, 6)], [(2, 6)], [AlignedWord(2, 6, 0, 1)]),
        ([(0, 4)], [], []),
        ([], [(0, 0)], []),
    ],
    ids=[
        "sub-words",
        "glued emoji",
        "dropped accent",
        "merged characters",
        "sign and half a number",
        "zero-width",
        "between",
        "unseen",
        "no tokens",
        "no words",
    ],
)
def test_words_get_the_tokens_that_see_them(
    words: list[tuple[int, int]], spans: list[tuple[int, int]], expected: list[AlignedWord]
) -> None:
    """Each word from the first token that begins in it; one whose beginning another's token has joins it."""
    assert align_words(words, _tokens(*spans)) == expected


def test_tokens_that_end_inside_the_next_character_do_not_chain_words() -> None:
    """Byte-level pieces that reach into the next character leave it to the piece that begins there."""
    words = [(0, 1), (1, 2), (2, 3)]
    tokens = _tokens((0, 2), (1, 3), (2, 3))
    assert align_words(words, tokens) == [AlignedWord(0, 1, 0, 1), AlignedWord(1, 2, 1, 2), AlignedWord(2, 3, 2, 3)]


def test_word_whose_first_character_belongs_to_the_token_before_is_joined() -> None:
    """`£13` cut into `£1` and `3` is one word: the 3 alone does not speak for the 13."""
    assert align_words([(0, 1), (1, 3)], _tokens((0, 2), (2, 3))) == [AlignedWord(0, 3, 0, 2)]


def _logits(encoded: EncodedText, tokenizer: TextTokenizer, tags: dict[int, int]) -> list[FloatArray]:
    """For each window, logits that tag every token by its id alone."""
    rows = []
    for one in encoded.inputs:
        logits = np.zeros((len(one), 3), np.float32)
        logits[np.arange(len(one)), [tags.get(number, 0) for number in one.ids.tolist()]] = 5
        rows.append(logits)
    return rows


def _ids(tokenizer: TextTokenizer, text: str) -> list[int]:
    return tokenizer.encode([text])[0].ids.tolist()


@pytest.mark.parametrize("max_tokens", [8, 9, 16, 40, 512])
@pytest.mark.parametrize("overlap", [0, 3, 1000])
@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta"])
def test_long_text_has_every_aspect_whatever_the_windows(
    family: str, max_tokens: int, overlap: int, text_tokenizer: Callable[[str], TextTokenizer]
) -> None:
    """Nothing is cut or counted twice: the aspects are those of one window long enough, in order."""
    tokenizer = text_tokenizer(family)
    text = " " + " and the food was good, the screen bad ;" * 15
    tags = {number: 1 for term in (" food", " screen") for number in _ids(tokenizer, text[:1] + term.strip())[-1:]}
    assert len(tags) == 2
    extractor = Extractor(tokenizer, TAGS, max_tokens=max_tokens, overlap=overlap)
    [encoded] = extractor.encode([text])
    assert all(len(one) <= max_tokens for one in encoded.inputs)
    assert (len(encoded.inputs) == 1) == (max_tokens == 512)
    found = extractor.decode(encoded, _logits(encoded, tokenizer, tags))
    assert [aspect.term for aspect in found] == ["food", "screen"] * 15
    starts = [aspect.start for aspect in found if aspect.start is not None]
    assert starts == sorted(set(starts))


def test_prediction_is_taken_where_context_is_widest(text_tokenizer: Callable[[str], TextTokenizer]) -> None:
    """A model that is wrong at the cut edges of a window is not believed there."""
    tokenizer = text_tokenizer("bert")
    text = "food " * 60
    extractor = Extractor(tokenizer, TAGS, max_tokens=22, overlap=8)
    [encoded] = extractor.encode([text.strip()])
    logits = []
    for window, one in zip(encoded.windows, encoded.inputs, strict=True):
        row = np.tile(np.array([0, 5, 0], np.float32), (len(one), 1))
        if window.start:
            row[: 1 + 4] = [5, 0, 0]  # [CLS] and the four tokens behind a cut
        if window.end < 60:
            row[-1 - 4 :] = [5, 0, 0]
        logits.append(row)
    assert len(extractor.decode(encoded, logits)) == 60


def test_text_without_a_visible_word_has_no_aspects(text_tokenizer: Callable[[str], TextTokenizer]) -> None:
    """Nothing to see is nothing to find, and still one row for the model."""
    extractor = Extractor(text_tokenizer("bert"), TAGS, max_tokens=16)
    for encoded in extractor.encode(["", " \n ", "\u200b"]):
        assert len(encoded.inputs) == 1
        assert extractor.decode(encoded, [np.ones((len(encoded.inputs[0]), 3), np.float32)]) == []


def test_lowercase_keeps_offsets(text_tokenizer: Callable[[str], TextTokenizer]) -> None:
    """A model for lower case reads it, and the spans are still those of the text as written, even around `İ`."""
    tokenizer = text_tokenizer("roberta")
    text = "İn İSTANBUL THE FOOD"
    extractor = Extractor(tokenizer, TAGS, max_tokens=64, lowercase=True)
    [encoded] = extractor.encode([text])
    [food] = _ids(tokenizer, " food")
    assert [aspect.term for aspect in extractor.decode(encoded, _logits(encoded, tokenizer, {food: 1}))] == ["FOOD"]
    [as_written] = Extractor(tokenizer, TAGS, max_tokens=64).encode([text])
    assert food not in as_written.tokens.ids


@pytest.mark.parametrize(("level", "expected"), [("first", ["slow"]), ("mean", []), ("token", ["s"])])
def test_word_level_decides_which_sub_words_count(
    level: WordLevel, expected: list[str], text_tokenizer: Callable[[str], TextTokenizer]
) -> None:
    """ "first" reads the first sub-word of a word, "mean" all of them, "token" knows no words."""
    tokenizer = text_tokenizer("bert")
    extractor = Extractor(tokenizer, TAGS, max_tokens=16, word_level=level)
    [encoded] = extractor.encode(["slow"])
    assert len(encoded.tokens) == 4
    logits = np.array([[9, 0, 0], [0, 2, 0], *[[5, 0, 0]] * 3, [9, 0, 0]], np.float32)
    assert [aspect.term for aspect in extractor.decode(encoded, [logits])] == expected


def test_pieces_of_one_character_speak_once() -> None:
    """Byte-level pieces cover the same character: the first of them is its word, a longer one keeps what is new."""
    words = token_words(_tokens((0, 1), (0, 1), (0, 0), (0, 3), (4, 6)))
    assert words == [AlignedWord(0, 1, 0, 1), AlignedWord(1, 3, 3, 4), AlignedWord(4, 6, 4, 5)]


_ODD_SPACE = "\n\t\x00\x1c\x85\u00a0\u3000\u200b\u200d\ufeff\u00ad\u0600\u0301\ufe0f"
_ODD = st.text(st.sampled_from("food IT9.,'-[]<>/éßİﬁ½Ａ牛面ラー가ไ😀👍🏽🇩👨" + _ODD_SPACE), max_size=40)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=20, deadline=None)
@given(
    text=_ODD,
    seed=st.integers(0, 999),
    max_tokens=st.sampled_from([8, 16, 512]),
    level=st.sampled_from(["first", "token"]),
)
def test_any_text_and_any_logits_give_terms_of_the_text(
    family: str,
    text: str,
    seed: int,
    max_tokens: int,
    level: WordLevel,
    text_tokenizer: Callable[[str], TextTokenizer],
) -> None:
    """Whatever people paste and whatever a model says: ordered slices of the text, none with space at its edges."""
    extractor = Extractor(text_tokenizer(family), TAGS, max_tokens=max_tokens, overlap=4, word_level=level)
    [encoded] = extractor.encode([text])
    generator = np.random.default_rng(seed)
    logits = [generator.normal(size=(len(one), 3)).astype(np.float32) for one in encoded.inputs]
    position = 0
    for aspect in extractor.decode(encoded, logits):
        assert aspect.start is not None
        assert aspect.end is not None
        assert position <= aspect.start < aspect.end <= len(text)
        assert aspect.term == text[aspect.start : aspect.end] == aspect.term.strip()
        units = text.encode("utf-16-le")
        first, last = (len(text[:place].encode("utf-16-le")) for place in (aspect.start, aspect.end))
        assert units[first:last].decode("utf-16-le") == aspect.term
        position = aspect.end
