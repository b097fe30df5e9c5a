"""From a folder to a pipeline that answers, and every reason why one does not."""

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from absa_server.engines.factory import EngineChoice, NetworkSource, load_engine
from absa_server.errors import InvalidModel
from absa_server.serving.courtesy import Courtesy
from absa_server.serving.loading import EngineOptions, load_model
from absa_server.types import Analysis, Engine, GivenAspect, Record
from model_loader.manifest import write_manifest

OPTIONS = EngineOptions(EngineChoice("torch", threads=1))
TEXT = "the food was great."


@pytest.fixture
def artifact(tiny_models: Path, tmp_path: Path) -> Path:
    """A copy of the tiny chain, to be changed."""
    return shutil.copytree(tiny_models, tmp_path / "artifact")


def _answer(root: Path, record: Record) -> Analysis:
    model = load_model(root, OPTIONS)
    [analysis] = model.pipeline.analyze([record])
    model.close()
    assert isinstance(analysis, Analysis)
    return analysis


def _edit(file: Path, **fields: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_chain_loads_and_answers(artifact: Path) -> None:
    """Two folders make a chain; it knows what its weights take in memory."""
    model = load_model(artifact, OPTIONS)
    assert model.kind == "chain"
    weights = sum(file.stat().st_size for file in artifact.glob("*/model.safetensors"))
    assert 0.9 * weights < model.resident_bytes < 1.1 * weights
    [analysis] = model.pipeline.analyze([Record(TEXT)])
    assert isinstance(analysis, Analysis)
    assert [(aspect.term, aspect.polarity) for aspect in analysis.aspects] == [("food", "positive")]
    model.close()


class Steps:
    """What a load does, in order and by thread: `courtesy` is asked for a turn, `load` makes an engine."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.threads: set[int] = set()
        self.fails_at = 0
        self.courtesy = Courtesy(self._is_busy)

    def _is_busy(self) -> bool:
        self._take("turn")
        if self.taken.count("turn") == self.fails_at:
            raise InterruptedError
        return False

    def load(self, source: NetworkSource, choice: EngineChoice) -> Engine:
        self._take(f"load {source.folder.name}")
        engine, steps = load_engine(source, choice), self
        end = engine.close

        def close() -> None:
            steps._take(f"close {source.folder.name}")
            end()

        engine.close = close
        return engine

    def _take(self, step: str) -> None:
        self.taken.append(step)
        self.threads.add(threading.get_ident())


def test_load_beside_traffic_takes_one_step_at_a_time(artifact: Path) -> None:
    """Files, each model, a sentence for one stage and for both; later each model's end."""
    steps = Steps()
    model = load_model(artifact, replace(OPTIONS, load=steps.load), courtesy=steps.courtesy)
    assert steps.taken == ["turn", "turn", "load aspect", "turn", "load sentiment", "turn", "turn"]
    [analysis] = model.pipeline.analyze([Record(TEXT)])
    assert isinstance(analysis, Analysis)
    model.close()
    assert steps.taken[7:] == ["turn", "close sentiment", "turn", "close aspect"]
    assert steps.threads == {threading.get_ident()}


def test_models_of_a_load_without_traffic_load_side_by_side(artifact: Path) -> None:
    """Where one model is served, its start is as quick as it can be."""
    steps = Steps()
    load_model(artifact, replace(OPTIONS, load=steps.load)).close()
    assert len(steps.threads) == 2
    assert "turn" not in steps.taken


def test_load_that_is_ended_between_steps_frees_what_it_has(artifact: Path) -> None:
    """Whatever happens while it waits for its turn, its engines are closed."""
    steps = Steps()
    steps.fails_at = 4  # both are loaded
    with pytest.raises(InterruptedError):
        load_model(artifact, replace(OPTIONS, load=steps.load), courtesy=steps.courtesy)
    assert [step for step in steps.taken if step.startswith("close")] == ["close sentiment", "close aspect"]


def test_either_model_loads_alone(artifact: Path) -> None:
    """The halves of a chain, each as folder by role and as a plain folder."""
    given = Record(TEXT, aspects=(GivenAspect("food"),))
    assert load_model(artifact / "aspect", OPTIONS).kind == "aspect only"
    assert load_model(artifact / "sentiment", OPTIONS).kind == "sentiment only"
    shutil.rmtree(artifact / "aspect")
    assert _answer(artifact, given).aspects[0].polarity == "positive"


def test_wrapped_artifact_loads(artifact: Path, tmp_path: Path) -> None:
    """One folder around the whole, as a careless tar makes it."""
    (tmp_path / "outer").mkdir()
    artifact.rename(tmp_path / "outer" / "my-model")
    assert _answer(tmp_path / "outer", Record(TEXT)).aspects[0].term == "food"


@pytest.mark.parametrize("role", ["aspect", "sentiment"])
def test_slow_tokenizer_is_converted_while_loading(role: str, artifact: Path) -> None:
    """vocab.txt in place of tokenizer.json: the same answer."""
    expected = _answer(artifact, Record(TEXT))
    vocabulary = json.loads((artifact / role / "tokenizer.json").read_text())["model"]["vocab"]
    (artifact / role / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)) + "\n")
    (artifact / role / "tokenizer.json").unlink()
    assert _answer(artifact, Record(TEXT)) == expected


def test_manifest_settings_reach_the_models(artifact: Path) -> None:
    """absa.json's lengths, context and least score are obeyed."""
    (artifact / "absa.json").write_text(
        '{"aspect": {"max_length": 16, "stride": 4, "min_score": 1.0},'
        ' "sentiment": {"max_length": 16, "context": "text"}}'
    )
    record = Record(f"{TEXT} " * 8, aspects=(GivenAspect("food"),))
    assert _answer(artifact, record).truncated
    assert _answer(artifact, Record(TEXT)).aspects == ()


Damage = Callable[[Path], object]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "nothing there": (shutil.rmtree, "no such folder; mount or unpack the model there"),
    "symbolic link": (
        lambda root: (root / "aspect" / "vocab.txt").symlink_to("tokenizer.json"),
        "aspect/vocab.txt is a symbolic link",
    ),
    "file changed after packing": (
        lambda root: (write_manifest(root), (root / "aspect" / "config.json").write_text("{}")),
        "aspect/config.json has 2 bytes, manifest.json says",
    ),
    "folders swapped": (
        lambda root: (
            (root / "aspect").rename(root / "x"),
            (root / "sentiment").rename(root / "aspect"),
            (root / "x").rename(root / "sentiment"),
        ),
        "are the folders swapped?",
    ),
    "tokenizer of another kind": (
        lambda root: (root / "aspect" / "tokenizer.json").write_text("{}"),
        "tokenizer.json cannot be used by the tokenizers library",
    ),
    "tokenizer of another model": (
        lambda root: _more_words(root / "aspect" / "tokenizer.json"),
        "the model loads but fails on a plain sentence",
    ),
    "unnamed polarities": (
        lambda root: _edit(root / "sentiment" / "config.json", id2label={str(i): f"LABEL_{i}" for i in range(3)}),
        'add to absa.json: {"sentiment": {"labels"',
    ),
    "no room for an aspect": (
        lambda root: (root / "absa.json").write_text(
            '{"sentiment": {"max_length": 8, "template": "what do you think of {aspect}"}}'
        ),
        "raise sentiment.max_length in absa.json",
    ),
}


def _more_words(file: Path) -> None:
    document = json.loads(file.read_text())
    vocabulary = document["model"]["vocab"]
    vocabulary |= {"the": 5000, "food": 5001}
    file.write_text(json.dumps(document))


@pytest.mark.parametrize(("damage", "telling"), DAMAGES.values(), ids=DAMAGES.keys())
def test_what_cannot_answer_is_refused_at_load(damage: Damage, telling: str, artifact: Path) -> None:
    """The owner is told what to fix before any caller comes."""
    damage(artifact)
    with pytest.raises(InvalidModel) as refusal:
        load_model(artifact, OPTIONS)
    assert telling in refusal.value.message
