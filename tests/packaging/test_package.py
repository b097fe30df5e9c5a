"""Artifacts from real tiny models: what is in them, that they are served, and what is never written."""

import json
import shutil
from pathlib import Path

import pytest

from absa_server.absa.artifact import open_artifact
from absa_server.engines.factory import EngineChoice
from absa_server.errors import InvalidModel
from absa_server.packaging.errors import InvalidInputs
from absa_server.packaging.staging import Inputs
from absa_server.serving.footprints import measured_resident_bytes, predicted_footprint
from absa_server.serving.loading import EngineOptions, load_model
from absa_server.serving.self_test import FILE_NAME as SELF_TEST
from absa_server.types import Record
from model_loader import Footprint
from model_loader.manifest import read_measured, write_manifest
from tests.packaging.conftest import Pack, unpacked

TEXT = "the food was great."


def test_same_models_give_the_same_bytes(pack: Pack, tiny_models: Path, tmp_path: Path) -> None:
    """Converted anew, in another folder, through links, with litter beside them."""
    first = pack(Inputs(tiny_models), "one.tar.gz")
    linked = tmp_path / "linked"
    for role in ("aspect", "sentiment"):
        (linked / role).mkdir(parents=True)
        for file in (tiny_models / role).iterdir():
            (linked / role / file.name).symlink_to(file)
    (linked / ".DS_Store").write_bytes(b"1")
    (linked / "aspect" / "training_args.bin").write_bytes(b"1")
    second = pack(Inputs(linked), "two.tar.gz", cache=tmp_path / "cache")
    assert (first.sha256, second.left_out) == (second.sha256, ("aspect/training_args.bin",))
    assert first.answers > 0


def test_measured_artifact_is_the_same_twice_and_tells_its_footprint(
    pack: Pack, tiny_models: Path, tmp_path: Path
) -> None:
    """Measured once and kept; the prediction before a load is what was measured, and so is what a load counts for."""
    one = pack(Inputs(tiny_models), "one.tar.gz", is_measured=True)
    two = pack(Inputs(tiny_models), "two.tar.gz", is_measured=True)
    assert one.sha256 == two.sha256
    root = unpacked(one.file, tmp_path / "out")
    measured = read_measured(root)
    assert measured == one.measured
    assert 0 < measured["f32"].resident_bytes <= measured["f32"].peak_bytes < 1 << 30
    assert predicted_footprint(root, precision="f32") == measured["f32"]
    assert measured_resident_bytes(root, ("openvino f32", "openvino f32")) == measured["f32"].resident_bytes
    assert measured_resident_bytes(root, ("openvino f32", "torch")) == 0


def test_artifact_is_served_without_a_conversion(pack: Pack, tiny_models: Path, tmp_path: Path) -> None:
    """With its weights or without, by the answers of the plain folder; nothing may be converted."""
    for name, is_compiled_only in (("both", False), ("compiled", True)):
        packed = pack(Inputs(tiny_models), f"{name}.tar.gz", is_compiled_only=is_compiled_only)
        root = unpacked(packed.file, tmp_path / name)
        assert any(root.rglob("*.safetensors")) is not is_compiled_only
        model = load_model(root, EngineOptions(EngineChoice("openvino", cache=_Nothing()), self_test=True))
        [analysis] = model.pipeline.analyze([Record(TEXT)])
        model.close()
        assert [(aspect.term, aspect.polarity) for aspect in analysis.aspects] == [("food", "positive")]


class _Nothing:
    """A cache that makes compiled blobs and refuses conversions."""

    def lease(self, key, fill):
        from absa_server.engines.folder_cache import NoCache  # noqa: PLC0415

        assert key.startswith("blob "), key
        return NoCache().lease(key, fill)


def test_compiled_only_artifact_is_packed_again(pack: Pack, tiny_models: Path, tmp_path: Path) -> None:
    """Networks without weights are kept as they are."""
    first = pack(Inputs(tiny_models), "one.tar.gz", is_compiled_only=True)
    again = pack(Inputs(unpacked(first.file, tmp_path / "out")), "two.tar.gz")
    assert again.sha256 == first.sha256


def test_either_model_and_absa_json_are_put_in_place(pack: Pack, tiny_models: Path, tmp_path: Path) -> None:
    """One folder a role; the folders' names are those of the absa.json that comes with them."""
    absa_json = tmp_path / "mine.json"
    absa_json.write_text(json.dumps({"aspect": {"path": "ate"}, "sentiment": {"context": "text"}}))
    both = pack(Inputs(aspect=tiny_models / "aspect", sentiment=tiny_models / "sentiment", absa_json=absa_json))
    assert both.kind == "chain"
    assert {name.split("/")[0] for name in both.files} >= {"ate", "sentiment", "absa.json"}
    assert pack(Inputs(sentiment=tiny_models / "sentiment")).kind == "sentiment only"
    assert pack(Inputs(tiny_models / "aspect")).kind == "aspect only"


@pytest.mark.parametrize(
    ("inputs", "telling"),
    [
        (lambda models: Inputs(), "either --models, or --aspect and --sentiment"),
        (lambda models: Inputs(models, aspect=models / "aspect"), "either --models, or --aspect and --sentiment"),
        (lambda models: Inputs(models / "nothing"), "expected a folder with a model"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs, telling, pack: Pack, tiny_models: Path, tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(InvalidInputs, match=telling):
        pack(inputs(tiny_models))
    assert list(tmp_path.iterdir()) == []


def test_links_that_lead_nowhere_or_in_circles_are_refused(pack: Pack, tiny_models: Path, tmp_path: Path) -> None:
    """A link to nothing, and one to a folder above it, are named."""
    models = tmp_path / "models"
    shutil.copytree(tiny_models, models)
    (models / "gone").symlink_to("nothing")
    with pytest.raises(InvalidInputs, match="gone is a link to nothing"):
        pack(Inputs(models))
    (models / "gone").unlink()
    (models / "round").symlink_to(models)
    with pytest.raises(InvalidInputs, match="round is a link to a folder above it"):
        pack(Inputs(models))


@pytest.mark.parametrize(
    ("name", "options", "telling"),
    [
        ("model.zip", {}, r"ends in \.tar\.gz or \.tgz"),
        ("no/folder/model.tar.gz", {}, "there is no folder"),
        ("model.tar.gz", {"is_compiled": False, "is_compiled_only": True}, "choose one of them"),
    ],
)
def test_options_that_do_not_fit_are_refused(name, options, telling, pack: Pack, tiny_models: Path) -> None:
    """Each says what was expected."""
    with pytest.raises(InvalidInputs, match=telling):
        pack(Inputs(tiny_models), name, **options)


def test_what_the_server_refuses_is_refused_with_its_message(pack: Pack, tiny_models: Path, tmp_path: Path) -> None:
    """The earlier archive stays, and nothing is left beside it."""
    models = tmp_path / "models"
    shutil.copytree(tiny_models, models)
    earlier = pack(Inputs(models))
    (models / "sentiment" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InvalidModel) as by_server:
        open_artifact(models)
    with pytest.raises(InvalidModel) as refusal:
        pack(Inputs(models))
    assert refusal.value.message == by_server.value.message
    assert earlier.file.stat().st_size == earlier.size_bytes
    assert sorted(tmp_path.iterdir()) == [earlier.file, models]


def test_answers_that_changed_are_refused_where_they_are_asked(pack: Pack, tiny_models: Path, tmp_path: Path) -> None:
    """With ABSA_SELF_TEST a model that answers otherwise than its packer's is refused, naming text and answers."""
    root = unpacked(pack(Inputs(tiny_models)).file, tmp_path / "out")
    options = EngineOptions(EngineChoice("openvino", precision="f32"), self_test=True)
    load_model(root, options).close()
    stored = json.loads((root / SELF_TEST).read_text())
    assert [answer["given"] is None for answer in stored["answers"]].count(True) > 0
    stored["answers"][0]["aspects"][0]["score"] -= 0.01
    (root / SELF_TEST).write_text(json.dumps(stored))
    write_manifest(root)
    with pytest.raises(InvalidModel, match=r"self_test\.json: '.*' should give .* and gives .*openvino f32"):
        load_model(root, options)
    load_model(root, EngineOptions(EngineChoice("openvino", precision="f32"))).close()
    (root / SELF_TEST).write_text("{")
    write_manifest(root)
    with pytest.raises(InvalidModel, match=r"self_test\.json is not readable"):
        load_model(root, options)


def test_artifact_without_answers_is_served_with_a_warning(
    tiny_models: Path, cache_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing to compare with is no fault of the model."""
    from absa_server.serving.cache_disk import CacheDisk  # noqa: PLC0415
    from absa_server.serving.engine_cache import EngineCache  # noqa: PLC0415

    choice = EngineChoice("openvino", cache=EngineCache(CacheDisk(cache_dir)))
    load_model(tiny_models, EngineOptions(choice, self_test=True)).close()
    assert "self_test_absent" in caplog.messages


def test_footprint_without_measurements_counts_the_network_that_runs(tmp_path: Path) -> None:
    """Not the weights beside it, nor the network of another precision; a broken manifest is the load's to tell."""
    for name, size in {"aspect/model.safetensors": 1000, "aspect/tokenizer.json": 10}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    assert predicted_footprint(tmp_path) == Footprint(1010, 1010)
    for precision, size in {"f32": 400, "int8": 100}.items():
        (tmp_path / "aspect/openvino" / precision).mkdir(parents=True)
        (tmp_path / "aspect/openvino" / precision / "model.bin").write_bytes(bytes(size))
    assert predicted_footprint(tmp_path) == Footprint(110, 110)
    (tmp_path / "manifest.json").write_text("{")
    assert predicted_footprint(tmp_path) == Footprint(111, 111)
