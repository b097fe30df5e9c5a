"""Model folders as the checks see them: a config, a head of the right width, a tokenizer; no network behind."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

TAGS = {"0": "O", "1": "B-ASP", "2": "I-ASP"}
POLARITIES = {"0": "Negative", "1": "Neutral", "2": "Positive"}
TOKENIZER = '{"added_tokens": [], "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}}'


def write_config(folder: Path, **fields: object) -> None:
    """`config.json` with these fields; those that are None are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 0, "type_vocab_size": 2} | fields
    document = {name: value for name, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(document))


def write_weights(folder: Path, shapes: Mapping[str, tuple[int, ...]], *, file: str = "model.safetensors") -> None:
    """A safetensors file with noughts of these shapes."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, folder / file)


def write_tagger(folder: Path, *, id2label: Mapping[str, str] = TAGS, width: int = 3, **fields: object) -> Path:
    """A token classifier's folder."""
    write_config(folder, architectures=["BertForTokenClassification"], id2label=id2label, **fields)
    write_weights(folder, {"bert.embeddings.weight": (4, 8), "classifier.weight": (width, 8)})
    (folder / "tokenizer.json").write_text(TOKENIZER)
    return folder


def write_rater(folder: Path, *, id2label: Mapping[str, str] = POLARITIES, width: int = 3, **fields: object) -> Path:
    """A pair classifier's folder."""
    write_config(folder, architectures=["BertForSequenceClassification"], id2label=id2label, **fields)
    write_weights(folder, {"bert.embeddings.weight": (4, 8), "classifier.weight": (width, 8)})
    (folder / "tokenizer.json").write_text(TOKENIZER)
    return folder
