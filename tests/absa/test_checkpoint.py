"""One model folder, checked: what is read from it, and for each thing wrong the message that says what to change."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from absa_server.absa.checkpoint import Checkpoint, Task, open_checkpoint
from absa_server.errors import InvalidModel
from tests.absa.model_folders import POLARITIES, TAGS, write_config, write_rater, write_tagger, write_weights


def _open(folder: Path, role: Task | None = None, max_length: int | None = None) -> Checkpoint:
    return open_checkpoint(folder, role=role, max_lengths={"token-classification": max_length})


def test_folder_of_save_pretrained_is_read(tmp_path: Path) -> None:
    """Task, labels, length, padding and token types come from config.json."""
    checkpoint = _open(write_tagger(tmp_path / "aspect", pad_token_id=3))
    assert checkpoint.task == "token-classification"
    assert checkpoint.id2label == {0: "O", 1: "B-ASP", 2: "I-ASP"}
    assert (checkpoint.max_tokens, checkpoint.pad_token_id, checkpoint.uses_token_types) == (512, 3, True)
    assert checkpoint.tokenizer_json is not None


@pytest.mark.parametrize(
    ("model_type", "positions", "declared", "max_length", "expected"),
    [
        ("bert", 512, None, None, 512),
        ("roberta", 514, None, None, 512),
        ("xlm-roberta", 514, 1e30, None, 512),
        ("mpnet", 514, 512, None, 512),
        ("camembert", 514, None, None, 512),
        ("deberta-v2", 512, 10**30, None, 512),
        ("bert", 512, 128, None, 128),
        ("bert", 512, None, 200, 200),
        ("bert", 512, None, 4000, 512),
        ("deberta-v2", None, None, None, 512),
        ("deberta-v2", -1, None, 300, 300),
    ],
)
def test_length_is_the_least_of_all_limits(
    model_type: str,
    positions: int | None,
    declared: float | None,
    max_length: int | None,
    expected: int,
    tmp_path: Path,
) -> None:
    """Positions (two fewer where they begin behind the padding id), the tokenizer's limit, and the manifest's."""
    folder = write_tagger(tmp_path, model_type=model_type, max_position_embeddings=positions)
    if declared is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": declared}))
    assert _open(folder, max_length=max_length).max_tokens == expected


@pytest.mark.parametrize(("size", "expected"), [(2, True), (1, False), (0, False), (None, False)])
def test_token_types_are_given_only_to_models_with_two(size: int | None, expected: bool, tmp_path: Path) -> None:
    """RoBERTa has one type, DeBERTa none, DistilBERT no such field."""
    assert _open(write_tagger(tmp_path, type_vocab_size=size)).uses_token_types is expected


@pytest.mark.parametrize(
    ("architecture", "heads"),
    [
        ("RobertaForSequenceClassification", {"classifier.dense.weight": (8, 8), "classifier.out_proj.weight": (3, 8)}),
        ("XLNetForSequenceClassification", {"logits_proj.weight": (3, 8)}),
        ("GPT2ForSequenceClassification", {"score.weight": (3, 8)}),
        ("DistilBertForSequenceClassification", {"pre_classifier.weight": (8, 8), "classifier.weight": (3, 8)}),
    ],
)
def test_heads_of_other_architectures_are_found(
    architecture: str, heads: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    """The layer that gives the logits has several names."""
    write_rater(tmp_path)
    write_config(tmp_path, architectures=[architecture], id2label=POLARITIES)
    write_weights(tmp_path, {"embeddings": (4, 8)} | heads)
    assert _open(tmp_path).task == "sequence-classification"


def test_sharded_weights_are_read_through_their_index(tmp_path: Path) -> None:
    """A head in the second shard is found; a missing shard is named."""
    write_tagger(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    write_weights(tmp_path, {"embeddings": (4, 8)}, file="model-00001-of-00002.safetensors")
    write_weights(tmp_path, {"classifier.weight": (3, 8)}, file="model-00002-of-00002.safetensors")
    shards = {"embeddings": "model-00001-of-00002.safetensors", "classifier.weight": "model-00002-of-00002.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert _open(tmp_path).id2label[1] == "B-ASP"
    (tmp_path / "model-00001-of-00002.safetensors").unlink()
    with pytest.raises(InvalidModel, match=r"names \['model-00001-of-00002\.safetensors'\], which are missing"):
        _open(tmp_path)


def test_role_decides_where_architectures_is_absent(tmp_path: Path) -> None:
    """Some published configs lack the field: then the folder's role tells, and without a role nothing does."""
    write_rater(tmp_path / "sentiment")
    write_config(tmp_path / "sentiment", id2label=POLARITIES)
    assert _open(tmp_path / "sentiment", "sequence-classification").task == "sequence-classification"
    with pytest.raises(InvalidModel, match="architectures is missing"):
        _open(tmp_path / "sentiment")


def test_labels_default_to_numbers(tmp_path: Path) -> None:
    """A config without id2label has `num_labels` labels that say nothing."""
    write_tagger(tmp_path)
    write_config(tmp_path, architectures=["BertForTokenClassification"], num_labels=3)
    assert _open(tmp_path).id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}


Damage = Callable[[Path], object]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "aspect/config.json is missing"),
    "config no json": (lambda folder: (folder / "config.json").write_text("{"), "aspect/config.json is not JSON"),
    "config in another encoding": (
        lambda folder: (folder / "config.json").write_bytes(b'{"model_type": "\xff"}'),
        "aspect/config.json is not JSON",
    ),
    "no model type": (lambda folder: write_config(folder, model_type=None), "has no model_type"),
    "own code": (
        lambda folder: write_config(folder, auto_map={"AutoModel": "modeling.Mine"}),
        "has auto_map: the model runs code of its own",
    ),
    "another task": (
        lambda folder: write_config(folder, architectures=["T5ForConditionalGeneration"], id2label=TAGS),
        "architectures is T5ForConditionalGeneration; expected one that ends in ForTokenClassification",
    ),
    "swapped": (
        lambda folder: write_config(folder, architectures=["BertForSequenceClassification"], id2label=TAGS),
        "a token-classification model belongs there; are the folders swapped?",
    ),
    "labels not by number": (
        lambda folder: write_tagger(folder, id2label={"O": "0", "B": "1"}),
        "id2label must map whole numbers to names",
    ),
    "labels with a gap": (
        lambda folder: write_tagger(folder, id2label={"0": "O", "1": "B-ASP", "3": "I-ASP"}),
        "id2label must name ids 0 to 2; [2] are missing",
    ),
    "number of labels no number": (
        lambda folder: write_config(folder, architectures=["BertForTokenClassification"], num_labels="three"),
        "num_labels must be a whole number",
    ),
    "no head": (
        lambda folder: write_weights(folder, {"bert.embeddings.weight": (4, 8)}),
        "model.safetensors has no classification head (classifier.weight or classifier.out_proj.weight)",
    ),
    "head without its last layer": (
        lambda folder: write_weights(folder, {"classifier.dense.weight": (8, 8)}),
        "model.safetensors has no classification head",
    ),
    "head too wide": (
        lambda folder: write_tagger(folder, width=5),
        "the head has [5] outputs, config.json names 3 labels",
    ),
    "weights cut short": (
        lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-9]),
        "aspect/model.safetensors is no whole safetensors file",
    ),
    "weights a git pointer": (
        lambda folder: (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n"),
        "aspect/model.safetensors is no whole safetensors file",
    ),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "aspect/model.safetensors is missing"),
    "only pickles": (
        lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        "only pickled weights (pytorch_model.bin)",
    ),
    "broken index": (
        lambda folder: (folder / "model.safetensors").rename(folder / "model.safetensors.index.json"),
        "aspect/model.safetensors.index.json is not JSON",
    ),
    "index of nothing": (
        lambda folder: (
            (folder / "model.safetensors").unlink(),
            (folder / "model.safetensors.index.json").write_text("{}"),
        ),
        "aspect/model.safetensors.index.json has no weight_map",
    ),
    "config a list": (lambda folder: (folder / "config.json").write_text("[]"), "config.json is not a JSON object"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "aspect/ has no tokenizer"),
    "tokenizer config no json": (
        lambda folder: (folder / "tokenizer_config.json").write_text("["),
        "aspect/tokenizer_config.json is not JSON",
    ),
}


@pytest.mark.parametrize(("damage", "telling"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_folder_is_refused_with_what_to_change(damage: Damage, telling: str, tmp_path: Path) -> None:
    """Each kind of damage is found before anything is loaded, and the message names folder, file and repair."""
    folder = write_tagger(tmp_path / "aspect")
    assert _open(folder, "token-classification")
    damage(folder)
    with pytest.raises(InvalidModel) as refusal:
        _open(folder, "token-classification")
    assert telling in refusal.value.message


def test_unreadable_tokenizer_is_refused(tmp_path: Path) -> None:
    """A tokenizer.json that is no text is named when it is read."""
    folder = write_tagger(tmp_path / "aspect")
    (folder / "tokenizer.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidModel, match=r"aspect/tokenizer\.json is not UTF-8"):
        _ = _open(folder).tokenizer_json


def test_slow_tokenizer_files_are_enough_for_now(tmp_path: Path) -> None:
    """A folder with vocab.txt alone passes; it is converted when it is loaded."""
    folder = write_tagger(tmp_path)
    (folder / "tokenizer.json").rename(folder / "vocab.txt")
    assert _open(folder).tokenizer_json is None
