"""Every architecture as a real model on disk, loaded the way the server loads it: its answers are the known ones."""

import json
from pathlib import Path

import pytest

from absa_server.engines.factory import EngineChoice
from absa_server.serving.loading import EngineOptions, LoadedModel, load_model
from absa_server.types import Analysis, GivenAspect, Record
from tests.absa.gold import GOLD, GoldText, marked
from tests.engines.overfitted import ARCHITECTURES, MAX_TOKENS, POLARITIES, Architecture, save_rater, save_tagger

# Small batches, so that texts of many lengths are padded together and none runs alone.
OPTIONS = EngineOptions(EngineChoice("torch", threads=1), batch_tokens=600)
# One sentence each, by the rule of the server; no term twice, whose occurrences a pair model cannot tell apart.
SENTENCES = [
    *(GOLD[name] for name in ("neighbours", "hyphens", "names of special tokens")),
    marked("  The  {+food} was  good ,  the {-service}   slow .  "),
    marked("The {-food} was cold, the {+service} quick, the {=price} what it is"),
    marked("Loved the {+food}😀 and the {-price}👍🏽, 😀{+pizza} ❤️ {=beer}🍺🍺"),
    marked("The cafe\u0301 has {+cre\u0300me bru\u0302le\u0301e} and a {-cafe\u0301} ."),
    marked("{+牛肉面}很好吃，但是{-服务}不行 {=价格}一般"),
]


def _analyses(model: LoadedModel, records: list[Record]) -> list[Analysis]:
    answers = model.pipeline.analyze(records)
    assert all(isinstance(answer, Analysis) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Analysis)]


def _spans(analysis: Analysis) -> list[tuple[int | None, int | None]]:
    return [(aspect.start, aspect.end) for aspect in analysis.aspects]


def _given(gold: GoldText) -> Record:
    return Record(gold.text, aspects=tuple(GivenAspect(None, aspect.start, aspect.end) for aspect in gold.aspects))


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def test_tagger_finds_the_spans_it_was_taught(architecture: Architecture, tmp_path: Path) -> None:
    """From `save_pretrained` to spans: the gold aspects, joint tags with polarity, and the model's whole length."""
    scheme = save_tagger(architecture, tmp_path / "aspect")
    if scheme.renamed:
        (tmp_path / "absa.json").write_text(json.dumps({"aspect": {"labels": scheme.renamed}}))
    model = load_model(tmp_path, OPTIONS)
    for gold, analysis in zip(
        GOLD.values(), _analyses(model, [Record(gold.text) for gold in GOLD.values()]), strict=True
    ):
        assert _spans(analysis) == gold.spans, gold.text
        if scheme.is_joint:
            assert [aspect.polarity for aspect in analysis.aspects] == [aspect.polarity for aspect in gold.aspects]
    assert model.pipeline.aspect is not None
    assert model.pipeline.aspect.extractor.max_tokens == MAX_TOKENS
    model.close()


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("BERT", ["text", "aspect"]),
        ("BERT", ["aspect", "text"]),
        ("RoBERTa", ["text", "aspect"]),
        ("DeBERTa v2", ["text", "aspect"]),
    ],
)
def test_rater_gives_the_polarities_it_was_taught(name: str, order: list[str], tmp_path: Path) -> None:
    """The pair arrives as the model was trained on it: separators, token types and order, whatever the family."""
    save_rater(ARCHITECTURES[name], tmp_path / "sentiment", SENTENCES, aspect_first=order[0] == "aspect")
    (tmp_path / "absa.json").write_text(json.dumps({"sentiment": {"order": order}}))
    model = load_model(tmp_path, OPTIONS)
    for gold, analysis in zip(SENTENCES, _analyses(model, [_given(gold) for gold in SENTENCES]), strict=True):
        assert [aspect.polarity for aspect in analysis.aspects] == [aspect.polarity for aspect in gold.aspects]
        assert not analysis.truncated
        for aspect in analysis.aspects:
            assert aspect.scores is not None
            assert set(aspect.scores) == set(POLARITIES)
            assert sum(aspect.scores.values()) == pytest.approx(1)
    model.close()


def test_chain_of_two_models_finds_and_rates(tmp_path: Path) -> None:
    """Two folders are a chain: spans from the one, their polarities from the other."""
    save_tagger(ARCHITECTURES["ELECTRA"], tmp_path / "aspect")
    texts = [GOLD[name] for name in ("neighbours", "hyphens", "names of special tokens")]
    save_rater(ARCHITECTURES["MPNet"], tmp_path / "sentiment", texts, aspect_first=False)
    model = load_model(tmp_path, OPTIONS)
    assert model.kind == "chain"
    for gold, analysis in zip(texts, _analyses(model, [Record(gold.text) for gold in texts]), strict=True):
        assert _spans(analysis) == gold.spans
        assert [aspect.polarity for aspect in analysis.aspects] == [aspect.polarity for aspect in gold.aspects]
    model.close()
