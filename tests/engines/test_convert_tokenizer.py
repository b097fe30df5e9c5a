"""Slow tokenizers, converted at load: the same tokens as the fast form their family publishes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AlbertConfig, BertConfig, DebertaV2Config, PreTrainedConfig, RobertaConfig, XLMRobertaConfig

from absa_server.absa.tokenization import TextTokenizer
from absa_server.engines.convert_tokenizer import convert_slow_tokenizer
from absa_server.errors import InvalidModel
from tests.absa.families import FAMILIES
from tests.absa.gold import GOLD

CONFIGS: dict[str, type[PreTrainedConfig]] = {
    "bert": BertConfig,
    "roberta": RobertaConfig,
    "albert": AlbertConfig,
    "xlm-roberta": XLMRobertaConfig,
    "deberta v2": DebertaV2Config,
}


@pytest.fixture
def slow_folder(tmp_path: Path) -> Callable[[str], Path]:
    """A model folder with a config and only the vocabulary files that the family publishes."""

    def folder(family: str) -> Path:
        FAMILIES[family].write(tmp_path)
        CONFIGS[family]().save_pretrained(tmp_path)
        return tmp_path

    return folder


@pytest.mark.parametrize("family", CONFIGS)
def test_converted_tokenizer_equals_the_published_fast_one(
    family: str, slow_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Same ids, same spans, same special tokens around them, for every gold text."""
    fast_folder = tmp_path_factory.mktemp("fast") / "tokenizer"
    FAMILIES[family].save(fast_folder)
    fast = TextTokenizer((fast_folder / "tokenizer.json").read_text(encoding="utf-8"))
    converted = TextTokenizer(convert_slow_tokenizer(slow_folder(family)))
    assert (converted.single, converted.pair) == (fast.single, fast.pair)
    texts = [gold.text for gold in GOLD.values()]
    for one, other in zip(converted.encode(texts), fast.encode(texts), strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        assert one.spans == other.spans


@pytest.mark.parametrize(("family", "file"), [("albert", "spiece.model"), ("deberta v2", "spm.model")])
def test_broken_vocabulary_is_refused(family: str, file: str, slow_folder: Callable[[str], Path]) -> None:
    """A model file that is none is named with its folder."""
    folder = slow_folder(family)
    (folder / file).write_bytes(b"no model")
    with pytest.raises(InvalidModel, match=f"{folder.name}/ has a slow tokenizer that cannot be converted"):
        convert_slow_tokenizer(folder)


def test_tokenizer_with_code_of_its_own_is_refused(slow_folder: Callable[[str], Path]) -> None:
    """What would run the folder's code is not run."""
    folder = slow_folder("bert")
    (folder / "mine.py").write_text("raise SystemExit")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"auto_map": {"AutoTokenizer": ["mine.Tokenizer", None]}, "tokenizer_class": "Mine"})
    )
    with pytest.raises(InvalidModel, match="cannot be converted"):
        convert_slow_tokenizer(folder)
