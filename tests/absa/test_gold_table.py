"""Every tag scheme with every family's tokenizer: where the right spans are known, exactly they come out."""

from collections.abc import Callable

import numpy as np
import pytest
import regex
from tokenizers import Tokenizer

from absa_server.absa.batches import BatchRunner
from absa_server.absa.chains import run_chains
from absa_server.absa.extractor import Extractor
from absa_server.absa.labels import parse_tags
from absa_server.absa.stages import AspectStage
from absa_server.absa.tokenization import TextTokenizer
from absa_server.types import Aspect
from tests.absa.families import FAMILIES
from tests.absa.gold import GOLD, GoldText
from tests.absa.scripted import Convention, ScriptedEngine, script
from tests.absa.tag_schemes import CATEGORY, SCHEMES, TagScheme

# A border inside a run of letters and digits of a script that is written with spaces.
_LETTER = r"[[\p{L}\p{N}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}]]"
_INSIDE_WORD = regex.compile(rf"(?V1)(?<={_LETTER})(?={_LETTER})")


def _extract(
    tokenizer: TextTokenizer, raw: Tokenizer, scheme: TagScheme, convention: Convention
) -> list[tuple[GoldText, list[Aspect]]]:
    """The aspects of every gold text that the scheme can express, extracted in one batch from a scripted engine."""
    texts = [gold for name, gold in GOLD.items() if scheme.separates_neighbours or name != "neighbours"]
    engine = ScriptedEngine(dict(script(raw, gold, scheme, convention) for gold in texts))
    tag_set = parse_tags(dict(enumerate(scheme.labels)), scheme.renamed)
    stage = AspectStage(Extractor(tokenizer, tag_set, max_tokens=512), BatchRunner(engine, 0, False, 4096))
    found = run_chains([stage.extract(gold.text) for gold in texts], lambda: None)
    return list(zip(texts, found, strict=True))


@pytest.fixture
def raw_tokenizer(tokenizer_json: Callable[[str], str]) -> Callable[[str], Tokenizer]:
    """A family's tokenizer as the library reads it, told that special tokens' names in a text are text."""

    def tokenizer(family: str) -> Tokenizer:
        raw = Tokenizer.from_str(tokenizer_json(family))
        raw.encode_special_tokens = True
        return raw

    return tokenizer


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())
@pytest.mark.parametrize("family", FAMILIES)
def test_spans_are_the_gold_ones_whatever_tokenizer_and_scheme(
    family: str,
    scheme: TagScheme,
    text_tokenizer: Callable[[str], TextTokenizer],
    raw_tokenizer: Callable[[str], Tokenizer],
) -> None:
    """Spans, polarities and categories are the annotated ones, whichever sub-words a model was trained to tag."""
    for convention in ("all", "first"):
        for gold, found in _extract(text_tokenizer(family), raw_tokenizer(family), scheme, convention):
            assert [(aspect.start, aspect.end) for aspect in found] == gold.spans, (convention, gold.text)
            if scheme.is_joint:
                assert [aspect.polarity for aspect in found] == [aspect.polarity for aspect in gold.aspects]
            if scheme.has_categories:
                assert [aspect.category for aspect in found] == [CATEGORY[aspect.polarity] for aspect in gold.aspects]


@pytest.mark.parametrize("family", FAMILIES)
def test_terms_are_whole_words_of_the_text_when_every_token_is_tagged_at_random(
    family: str, text_tokenizer: Callable[[str], TextTokenizer], raw_tokenizer: Callable[[str], Tokenizer]
) -> None:
    """However wild the tags, a term is its slice, without white space at its edges and no border inside a word."""
    raw, tokenizer, generator = raw_tokenizer(family), text_tokenizer(family), np.random.default_rng(7)
    extractor = Extractor(tokenizer, parse_tags({0: "O", 1: "B", 2: "I"}), max_tokens=512)
    for gold in GOLD.values():
        rows = len(raw.encode(gold.text))
        [encoded] = extractor.encode([gold.text])
        for aspect in extractor.decode(encoded, [generator.normal(size=(rows, 3)).astype(np.float32)]):
            assert aspect.start is not None
            assert aspect.end is not None
            term = gold.text[aspect.start : aspect.end]
            assert aspect.term == term == term.strip() != ""
            assert not _INSIDE_WORD.match(gold.text, aspect.start)
            assert not _INSIDE_WORD.match(gold.text, aspect.end)


@pytest.mark.parametrize("family", FAMILIES)
def test_averaging_sub_words_finds_the_same_spans_when_all_are_tagged(
    family: str, text_tokenizer: Callable[[str], TextTokenizer], raw_tokenizer: Callable[[str], Tokenizer]
) -> None:
    """With `word_level` "mean" a model trained on all sub-words gives the gold spans too."""
    scheme, raw = SCHEMES["BIO"], raw_tokenizer(family)
    engine = ScriptedEngine(dict(script(raw, gold, scheme, "all") for gold in GOLD.values()))
    extractor = Extractor(
        text_tokenizer(family), parse_tags(dict(enumerate(scheme.labels))), max_tokens=512, word_level="mean"
    )
    stage = AspectStage(extractor, BatchRunner(engine, 0, False, 4096))
    found = run_chains([stage.extract(gold.text) for gold in GOLD.values()], lambda: None)
    assert [[(aspect.start, aspect.end) for aspect in aspects] for aspects in found] == [
        gold.spans for gold in GOLD.values()
    ]
