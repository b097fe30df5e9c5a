"""The torch engine on real, tiny models: precision, masked padding, many threads, weights that must all be there.

What needs a GPU is in test_torch_on_gpu.py.
"""

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    RobertaConfig,
    RobertaForTokenClassification,
)

from absa_server.engines.buckets import bucket_length
from absa_server.engines.factory import EngineChoice, NetworkSource, load_engine
from absa_server.engines.torch import TorchEngine, load_torch_engine
from absa_server.engines.torch_devices import CpuDevice, Forward
from absa_server.errors import EngineFailed, InvalidModel
from absa_server.types import FloatArray, IntArray

LABELS, VOCABULARY, POSITIONS = 3, 50, 32
CONFIG = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": POSITIONS,
    "num_labels": LABELS,
    "initializer_range": 0.5,
}
WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A token classifier with random weights, as `save_pretrained` writes it."""
    BertForTokenClassification(BertConfig(**CONFIG)).save_pretrained(tmp_path / "aspect")
    return tmp_path / "aspect"


class BucketingCpu(CpuDevice):
    """A CPU that rounds lengths up as a GPU does, and remembers the shapes of what it ran."""

    has_bf16 = True
    batch_tokens = 4096

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def padded_length(self, length: int, longest: int | None) -> int:
        return bucket_length(length, longest)

    def run(self, forward: Forward, inputs: IntArray) -> FloatArray:
        self.shapes.append(inputs.shape)
        return super().run(forward, inputs)


def _load(folder: Path, task: str = "token-classification") -> TorchEngine:
    return load_torch_engine(folder, task=task, labels=LABELS, threads=1, device=CpuDevice())


def _rows(count: int, length: int) -> np.ndarray:
    return np.random.default_rng(1).integers(1, VOCABULARY, (count, length))


def _rewrite(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def test_token_classifier_gives_logits_of_each_token(folder: Path) -> None:
    """`(batch, seq, labels)` in float32; padding changes nothing for the tokens that are there."""
    engine = _load(folder)
    ids = _rows(2, 7)
    logits = engine.infer(ids, np.ones_like(ids), np.zeros_like(ids))
    assert logits.shape == (2, 7, LABELS)
    assert logits.dtype == np.float32
    padded, mask = np.zeros((2, 12), np.int64), np.zeros((2, 12), np.int64)
    padded[:, :7], mask[:, :7] = ids, 1
    np.testing.assert_allclose(engine.infer(padded, mask, None)[:, :7], logits, atol=1e-5)


def test_sequence_classifier_gives_logits_of_each_row(tmp_path: Path) -> None:
    """`(batch, labels)`; token types count where they are given."""
    BertForSequenceClassification(BertConfig(**CONFIG)).save_pretrained(tmp_path)
    engine, ids = _load(tmp_path, "sequence-classification"), _rows(3, 5)
    plain = engine.infer(ids, np.ones_like(ids), None)
    assert plain.shape == (3, LABELS)
    assert not np.allclose(engine.infer(ids, np.ones_like(ids), np.ones_like(ids)), plain, atol=1e-4)


@pytest.mark.parametrize("declared", ["float32", "float16"])
def test_half_precision_files_are_run_in_float32(folder: Path, declared: str) -> None:
    """Weights stored as float16 are cast up, whatever config.json calls them, and take the memory of float32."""
    full = _load(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": declared, "torch_dtype": declared}))
    _rewrite(folder, lambda weights: weights.update({k: v.astype(np.float16) for k, v in weights.items()}))
    half, ids = _load(folder), _rows(1, 6)
    assert half.resident_bytes == full.resident_bytes
    assert half.resident_bytes >= 4 * sum(v.size for v in load_file(folder / WEIGHTS).values())
    found = half.infer(ids, np.ones_like(ids), None)
    np.testing.assert_allclose(found, full.infer(ids, np.ones_like(ids), None), atol=0.05)


@pytest.mark.parametrize(("length", "bucket"), [(1, 8), (8, 8), (9, 16), (POSITIONS - 1, POSITIONS)])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_rounded_lengths_change_no_answer(family: str, length: int, bucket: int, tmp_path: Path) -> None:
    """Rows are run in their bucket, up to the model's last position, and answered at their own length.

    RoBERTa counts its positions from the ids themselves, padding included.
    """
    models = {
        "bert": lambda: BertForTokenClassification(BertConfig(**CONFIG)),
        "roberta": lambda: RobertaForTokenClassification(
            RobertaConfig(**CONFIG | {"max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1}, pad_token_id=1)
        ),
    }
    models[family]().save_pretrained(tmp_path)
    device = BucketingCpu()
    exact, rounding = (
        load_torch_engine(tmp_path, task="token-classification", labels=LABELS, threads=1, device=one)
        for one in (CpuDevice(), device)
    )
    ids = np.maximum(_rows(3, length), 2)  # no padding of RoBERTa's in the middle
    mask = np.ones_like(ids)
    expected = exact.infer(ids, mask, None)
    found = rounding.infer(ids, mask, None)
    assert device.shapes == [(2, 3, bucket)]
    assert found.shape == expected.shape == (3, length, LABELS)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_rounded_rows_of_a_classifier_keep_their_shape(tmp_path: Path) -> None:
    """`(batch, labels)` has no length to cut, even where there are more labels than tokens."""
    BertForSequenceClassification(BertConfig(**CONFIG)).save_pretrained(tmp_path)
    task, ids = "sequence-classification", _rows(4, 2)
    engine = load_torch_engine(tmp_path, task=task, labels=LABELS, threads=1, device=BucketingCpu())
    found = engine.infer(ids, np.ones_like(ids), np.zeros_like(ids))
    assert found.shape == (4, LABELS)
    expected = _load(tmp_path, task).infer(ids, np.ones_like(ids), np.zeros_like(ids))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_bf16_takes_half_the_memory_and_answers_in_float32(folder: Path) -> None:
    """Near the float32 answers, under a name that tells the precision, with the device's own budget."""
    full, ids = _load(folder), _rows(2, 9)
    half = load_torch_engine(
        folder, task="token-classification", labels=LABELS, threads=1, precision="bf16", device=BucketingCpu()
    )
    assert (full.name, full.batch_tokens) == ("torch", 512)
    assert (half.name, half.batch_tokens) == ("torch bf16", 4096)
    assert half.resident_bytes < 0.6 * full.resident_bytes
    found, expected = (engine.infer(ids, np.ones_like(ids), None) for engine in (half, full))
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_attention_is_sdpa_where_the_architecture_has_it(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """transformers chooses it by itself; the log tells."""
    caplog.set_level(logging.INFO)
    _load(folder)
    [loaded] = [record for record in caplog.records if record.message == "engine_loaded"]
    assert loaded.__dict__["attention"] == "sdpa"


def test_threads_share_an_engine(folder: Path) -> None:
    """Calls of several threads at once each get their own right answer."""
    engine = _load(folder)
    batches = [_rows(1, length) for length in range(2, 18)]
    alone = [engine.infer(ids, np.ones_like(ids), None) for ids in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda ids: engine.infer(ids, np.ones_like(ids), None), batches * 4))
    for found, expected in zip(together, alone * 4, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("length", "highest"), [(POSITIONS + 1, VOCABULARY - 1), (4, VOCABULARY)])
def test_batch_that_the_model_cannot_take_is_an_engine_failure(folder: Path, length: int, highest: int) -> None:
    """Too many positions or an id outside the vocabulary: the caller learns the batch's size, not torch's words."""
    engine = _load(folder)
    ids = np.full((2, length), highest, np.int64)
    with pytest.raises(EngineFailed, match=f"2 rows of {length} tokens"):
        engine.infer(ids, np.ones_like(ids), None)
    fitting = np.full((2, POSITIONS), VOCABULARY - 1, np.int64)
    assert engine.infer(fitting, np.ones_like(fitting), None).shape == (2, POSITIONS, LABELS)


@pytest.mark.parametrize("types", [-1, 2])
def test_token_type_that_the_model_lacks_is_an_engine_failure(types: int, folder: Path) -> None:
    """Found before the device sees it: on a GPU it would end CUDA for the whole process."""
    ids = _rows(1, 4)
    with pytest.raises(EngineFailed, match="1 rows of 4 tokens: it has 32 positions, ids below 50 and 2 token types"):
        _load(folder).infer(ids, np.ones_like(ids), np.full_like(ids, types))


def test_closed_engine_answers_no_more(folder: Path) -> None:
    """After `close`, twice if need be, `infer` says that the model is gone."""
    engine = _load(folder)
    engine.close()
    engine.close()
    ids = _rows(1, 3)
    with pytest.raises(EngineFailed, match="unloaded"):
        engine.infer(ids, np.ones_like(ids), None)


@pytest.mark.parametrize("lost", ["classifier.weight", "bert.encoder.layer.0.attention.self.query.weight"])
def test_missing_weight_is_refused_not_drawn_at_random(folder: Path, lost: str) -> None:
    """transformers would fill the gap with random numbers; here it is named."""
    _rewrite(folder, lambda weights: weights.pop(lost))
    with pytest.raises(InvalidModel, match=lost) as refusal:
        _load(folder)
    assert "aspect/ lacks weights" in refusal.value.message


def test_weight_of_another_shape_is_refused(folder: Path) -> None:
    """A head for five labels under a config of three."""
    _rewrite(folder, lambda weights: weights.update({"classifier.weight": np.zeros((5, 16), np.float32)}))
    with pytest.raises(InvalidModel, match=r"aspect/ (lacks weights|cannot be loaded)"):
        _load(folder)


def test_unknown_architecture_is_refused(folder: Path) -> None:
    """A model type that transformers does not have is the artifact's fault, said with the folder's name."""
    (folder / "config.json").write_text('{"model_type": "nobody-knows"}')
    with pytest.raises(InvalidModel, match="aspect/ cannot be loaded by transformers"):
        _load(folder)


def test_factory_takes_the_cores_it_may_use(folder: Path) -> None:
    """Threads 0 means as many as there are; the engine is the same."""
    source = NetworkSource(folder, lambda: "never asked", "token-classification", LABELS)
    engine = load_engine(source, EngineChoice("torch"))
    assert (engine.name.split()[0], engine.streams) == ("torch", 1)
    ids = _rows(1, 4)
    assert engine.infer(ids, np.ones_like(ids), None).shape == (1, 4, LABELS)
    engine.close()
