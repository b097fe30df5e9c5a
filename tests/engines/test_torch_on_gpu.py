"""The torch engine on a real GPU; without one, all of it is skipped."""

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForTokenClassification

from absa_server.engines.factory import EngineChoice, NetworkSource, load_engine
from absa_server.engines.gpu import gpu_memory_bytes, has_gpu
from absa_server.engines.torch import TorchEngine, load_torch_engine
from absa_server.engines.torch_devices import CpuDevice, CudaDevice, TorchDevice
from absa_server.errors import EngineFailed

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
TASK, LABELS, VOCABULARY, POSITIONS, STREAMS = "token-classification", 3, 500, 128, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger of two layers with random weights."""
    config = BertConfig(vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                        intermediate_size=128, max_position_embeddings=POSITIONS, num_labels=LABELS,
                        initializer_range=0.2)  # fmt: skip
    target = tmp_path_factory.mktemp("tagger")
    BertForTokenClassification(config).save_pretrained(target)
    return target


def _load(folder: Path, device: TorchDevice, precision: str = "f32") -> TorchEngine:
    return load_torch_engine(
        folder, task=TASK, labels=LABELS, threads=1, streams=STREAMS, precision=precision, device=device
    )


def _batch(rows: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(length).integers(1, VOCABULARY, (rows, length))
    mask = np.ones_like(ids)
    mask[-1, length - length // 3 :] = 0
    return ids, mask


def test_gpu_gives_the_answers_of_the_cpu(folder: Path) -> None:
    """float32 closely, bf16 nearly, at lengths on both sides of a bucket."""
    cpu, full, half = _load(folder, CpuDevice()), *(_load(folder, CudaDevice(STREAMS), p) for p in ("f32", "bf16"))
    assert (full.name, full.batch_tokens) == ("torch cuda", 16_384)
    for length in (1, 8, 9, 65, POSITIONS):
        ids, mask = _batch(4, length)
        expected = cpu.infer(ids, mask, None)[mask == 1]
        np.testing.assert_allclose(full.infer(ids, mask, None)[mask == 1], expected, atol=1e-3)
        assert np.abs(half.infer(ids, mask, None)[mask == 1] - expected).max() < 0.1 * np.abs(expected).max()


def test_threads_get_their_own_answers(folder: Path) -> None:
    """More threads than streams, over and over: pinned memory that is used again never mixes two answers up."""
    engine = _load(folder, CudaDevice(STREAMS))
    batches = [_batch(3, length) for length in range(2, 34)]
    alone = [engine.infer(*batch, None) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda batch: engine.infer(*batch, None), batches * 8))
    for found, expected in zip(together, alone * 8, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_bad_ids_do_not_end_cuda(folder: Path) -> None:
    """They are refused before the device sees them; the next batch is answered."""
    engine = _load(folder, CudaDevice(STREAMS))
    ids, mask = _batch(2, 5)
    for bad in (np.full_like(ids, VOCABULARY), np.full_like(ids, -1)):
        with pytest.raises(EngineFailed):
            engine.infer(bad, mask, None)
    assert np.isfinite(engine.infer(ids, mask, None)).all()


def test_closing_gives_the_memory_back(folder: Path) -> None:
    """Loaded, run and closed several times, the process keeps no more of the GPU than after the first time."""
    kept = []
    for _ in range(3):
        engine = _load(folder, CudaDevice(STREAMS))
        engine.infer(*_batch(64, POSITIONS), None)
        assert gpu_memory_bytes() > 0
        engine.close()
        del engine
        gc.collect()
        torch.cuda.empty_cache()
        kept.append(gpu_memory_bytes())
    assert kept[-1] <= kept[0]


def test_auto_takes_the_gpu(folder: Path) -> None:
    """The device files are seen without torch, and torch agrees."""
    assert has_gpu()
    source = NetworkSource(folder, lambda: "never asked", TASK, LABELS)
    assert load_engine(source, EngineChoice("auto", streams=2, has_gpu=True)).name.startswith("torch cuda")
