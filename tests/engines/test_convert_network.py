"""Which form a model is converted in is found by its answers alone."""

from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification

from absa_server.engines.convert_network import convert_network
from absa_server.engines.openvino import StreamPlan, load_network
from tests.engines.overfitted import ARCHITECTURES
from tests.engines.test_openvino import LABELS, _batch, save_model


def test_head_that_looks_beyond_the_first_token_keeps_padding(tmp_path: Path, monkeypatch) -> None:
    """It can be traced without padding like any other, and would answer something else."""
    folder, out = tmp_path / "model", tmp_path / "network"
    out.mkdir()
    save_model(ARCHITECTURES["BERT"], folder, "SequenceClassification")
    pooler = type(AutoModelForSequenceClassification.from_pretrained(folder).bert.pooler)
    monkeypatch.setattr(pooler, "forward", lambda self, hidden: torch.tanh(self.dense(hidden.mean(dim=1))))
    convert_network(folder, out, task="sequence-classification", labels=len(LABELS))
    engine = load_network(out, "f32", StreamPlan(1, 1), blob=None)
    assert not engine.is_padding_free
    assert engine.infer(*_batch(2, 9, 40)).shape == (2, len(LABELS))
    engine.close()
