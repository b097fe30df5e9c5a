"""Models that are there as networks alone: what they can run as, and what is refused."""

import json
import re
from pathlib import Path

import pytest

from absa_server.engines.factory import EngineChoice
from absa_server.errors import InvalidModel
from absa_server.packaging.staging import Inputs
from absa_server.serving.loading import EngineOptions, load_model
from tests.packaging.conftest import Pack, unpacked


@pytest.fixture
def compiled(pack: Pack, tiny_models: Path, tmp_path: Path) -> Path:
    """The aspect model, without weights and without a manifest."""
    root = unpacked(pack(Inputs(tiny_models / "aspect"), is_compiled_only=True).file, tmp_path / "out")
    (root / "manifest.json").unlink()
    return root


def refusal(root: Path, choice: EngineChoice) -> str:
    with pytest.raises(InvalidModel) as error:
        load_model(root, EngineOptions(choice))
    return error.value.message


def test_torch_is_refused_by_name(compiled: Path) -> None:
    """Not by whatever transformers says of the absent weights."""
    assert "has only compiled networks, which torch does not run" in refusal(compiled, EngineChoice("torch"))


def test_precision_that_is_not_there_is_refused(compiled: Path) -> None:
    """An int8 network is no float32 one, and there is nothing to make one of."""
    network = compiled / "openvino" / "f32"
    network.rename(network.with_name("int8"))
    message = refusal(compiled, EngineChoice("auto", precision="f32"))
    assert re.search("ABSA_PRECISION=f32: .* has only int8, and no weights", message)
    load_model(compiled, EngineOptions(EngineChoice("auto"))).close()


def test_head_of_another_width_is_refused(compiled: Path) -> None:
    """As with weights: labels and outputs must agree."""
    config = json.loads((compiled / "config.json").read_text())
    config["id2label"] = {"0": "O", "1": "B-ASP"}
    (compiled / "config.json").write_text(json.dumps(config))
    message = refusal(compiled, EngineChoice("openvino"))
    assert "f32/model.xml: the head has 3 outputs, config.json names 2 labels in id2label; they must agree" in message


@pytest.mark.parametrize("name", ["model.xml", "model.bin"])
def test_network_with_a_file_missing_is_refused(name: str, compiled: Path) -> None:
    """Named, with the remedy."""
    (compiled / "openvino" / "f32" / name).unlink()
    assert f"f32 lacks {name}; pack the artifact again" in refusal(compiled, EngineChoice("openvino"))


def test_damaged_graph_is_refused(compiled: Path) -> None:
    """OpenVINO's own words, in one line."""
    (compiled / "openvino" / "f32" / "model.xml").write_text("<net>")
    assert "OpenVINO" in refusal(compiled, EngineChoice("auto"))
