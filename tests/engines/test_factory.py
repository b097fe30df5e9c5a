"""Engines chosen and networks converted in a child process: cached, bounded, refused or fallen back to torch."""

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from absa_server.engines.conversion import ConversionLimits, compile_model
from absa_server.engines.factory import EngineChoice, NetworkSource, load_engine
from absa_server.engines.network import PACKED_FOLDER
from absa_server.engines.torch_devices import is_cuda_usable
from absa_server.errors import InvalidModel, NotConvertible
from absa_server.serving.cache_disk import CacheDisk
from absa_server.serving.engine_cache import EngineCache
from model_loader.manifest import content_hash, write_manifest

TASK = "token-classification"
ROOT = Path(__file__).parents[2]
SERVING = """
import json, sys
from pathlib import Path
from absa_server.engines.factory import EngineChoice
from absa_server.serving.cache_disk import CacheDisk
from absa_server.serving.engine_cache import EngineCache
from absa_server.serving.loading import EngineOptions, load_model
from absa_server.types import Record
choice = EngineChoice("openvino", cache=EngineCache(CacheDisk(Path(sys.argv[2]))))
model = load_model(Path(sys.argv[1]), EngineOptions(choice))
[analysis] = model.pipeline.analyze([Record("the food was great.")])
heavy = {"torch", "transformers", "openvino_telemetry.main"} & set(sys.modules)
print(json.dumps([[(a.term, a.polarity) for a in analysis.aspects], sorted(heavy), model.engines]))
"""


def _source(models: Path) -> NetworkSource:
    folder = models / "aspect"
    return NetworkSource(folder, lambda: content_hash(folder), TASK, 3)


def _no_children() -> bool:
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    return True


def test_serving_process_imports_neither_torch_nor_transformers(tiny_models: Path, tmp_path: Path) -> None:
    """A plain folder, converted for the first time: the answer is right, and nothing heavy was imported for it."""
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SERVING, str(tiny_models), str(tmp_path / "cache")],
        env=os.environ | {"HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    answer, heavy, engines = json.loads(done.stdout.splitlines()[-1])
    assert (answer, heavy) == ([["food", "positive"]], [])
    assert [name.split()[0] for name in engines] == ["openvino", "openvino"]
    assert list(home.rglob("*openvino*")) == []  # no id of openvino-telemetry


def test_conversion_is_kept_and_packed_networks_need_none(
    tiny_models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One conversion for two loads; none at all, and no cache entry for it, where the artifact brings its network."""
    caplog.set_level(logging.INFO)
    choice = EngineChoice("openvino", precision="f32", cache=EngineCache(CacheDisk(tmp_path / "cache")))
    ids = np.ones((2, 5), np.int64)
    answers = []
    for _ in range(2):
        engine = load_engine(_source(tiny_models), choice)
        answers.append(engine.infer(ids, ids, None))
        engine.close()
    assert [record.message for record in caplog.records].count("model_converted") == 1
    packed = tmp_path / "models" / "aspect"
    packed.mkdir(parents=True)
    compiled = packed / PACKED_FOLDER / "f32"
    compiled.mkdir(parents=True)
    compile_model(tiny_models / "aspect", compiled, task=TASK, labels=3, limits=ConversionLimits())
    caplog.clear()
    engine = load_engine(replace(_source(tmp_path / "models"), content=lambda: pytest.fail("hashed")), choice)
    answers.append(engine.infer(ids, ids, None))
    assert [record.message for record in caplog.records] == ["engine_loaded"]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])
    engine.close()


@pytest.mark.parametrize(
    ("limits", "telling"),
    [
        (ConversionLimits(memory_mb=1), "within 1 MB; raise ABSA_COMPILE_MEMORY_MB"),
        (ConversionLimits(timeout_s=0.2), "within 0 s; raise ABSA_COMPILE_TIMEOUT_S"),
    ],
    ids=["memory", "time"],
)
def test_conversion_beyond_its_limits_is_killed(
    limits: ConversionLimits, telling: str, tiny_models: Path, tmp_path: Path
) -> None:
    """The owner is told which limit; neither a process nor a folder is left."""
    choice = EngineChoice("openvino", limits=limits, cache=EngineCache(CacheDisk(tmp_path)))
    with pytest.raises(NotConvertible, match=telling):
        load_engine(_source(tiny_models), choice)
    assert _no_children()
    assert [*tmp_path.glob("networks/temporary/*"), *tmp_path.glob("networks/entries/*")] == []


def test_auto_falls_back_to_torch_with_one_warning(
    tiny_models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What does not convert runs on torch, and the log says why."""
    choice = EngineChoice("auto", limits=ConversionLimits(memory_mb=1), cache=EngineCache(CacheDisk(tmp_path)))
    engine = load_engine(_source(tiny_models), choice)
    assert engine.name == "torch"
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record.message for record in warnings] == ["engine_fallback"]
    engine.close()


@pytest.mark.skipif(is_cuda_usable(), reason="torch can use the GPU of this machine")
def test_gpu_that_torch_cannot_use_leaves_the_model_on_the_cpu(
    tiny_models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A driver too old for this torch, say: one warning, and the engine and the budget of a CPU."""
    choice = EngineChoice("auto", cache=EngineCache(CacheDisk(tmp_path)), has_gpu=True)
    engine = load_engine(_source(tiny_models), choice)
    assert (engine.name.split()[0], engine.batch_tokens) == ("openvino", 384)
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert [message for message in warnings if message != "cache_in_memory"] == ["gpu_unusable"]
    engine.close()


@pytest.mark.parametrize(
    ("choice", "has_weights"),
    [
        (EngineChoice("auto"), True),
        (EngineChoice("openvino", has_gpu=True), True),
        (EngineChoice("auto", precision="int8", has_gpu=True), True),
        (EngineChoice("auto", has_gpu=True), False),
    ],
    ids=["no gpu", "openvino", "int8", "compiled only"],
)
def test_what_is_for_the_cpu_does_not_ask_for_a_gpu(
    choice: EngineChoice, has_weights: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither an engine named, nor int8, nor a model that brings only its compiled network tries torch on a GPU."""
    if has_weights:
        (tmp_path / "model.safetensors").touch()
    else:
        (tmp_path / PACKED_FOLDER / "f32").mkdir(parents=True)
    with pytest.raises(InvalidModel):  # there is nothing in it to load
        load_engine(NetworkSource(tmp_path, lambda: "content", TASK, 3), choice)
    assert "gpu_unusable" not in [record.message for record in caplog.records]


@pytest.mark.parametrize("name", ["auto", "openvino"])
def test_missing_weight_is_refused_by_the_child(name: str, tiny_models: Path, tmp_path: Path) -> None:
    """Random numbers are no more converted than they are run; auto does not try torch as well."""
    folder = tmp_path / "models" / "aspect"
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes((tiny_models / "aspect" / "config.json").read_bytes())
    weights = load_file(tiny_models / "aspect" / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InvalidModel, match=r"lacks weights .*classifier\.weight") as refusal:
        load_engine(_source(tmp_path / "models"), EngineChoice(name))
    assert not isinstance(refusal.value, NotConvertible)


@pytest.mark.parametrize("name", ["auto", "openvino"])
def test_plain_folder_where_torch_is_not_installed_is_refused(
    name: str, tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image built without torch says what to pack or to use; more memory would not help."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', ROOT / 'src')}")
    telling = "aspect/ brings no compiled network, and nothing here can make one .* image built with TORCH=cpu"
    with pytest.raises(InvalidModel, match=telling) as refusal:
        load_engine(_source(tiny_models), EngineChoice(name))
    assert not isinstance(refusal.value, NotConvertible)


def test_content_hash_is_the_same_with_a_manifest_and_without(tmp_path: Path) -> None:
    """The manifest's digests save reading the files; other bytes, and other names, are other contents."""
    model = tmp_path / "aspect"
    model.mkdir()
    (model / "a").write_bytes(b"1")
    plain = content_hash(model)
    write_manifest(tmp_path)
    assert content_hash(model) == plain
    (tmp_path / "manifest.json").unlink()
    (model / "a").write_bytes(b"2")
    assert content_hash(model) != plain
    (model / "a").rename(model / "b")
    (model / "b").write_bytes(b"1")
    assert content_hash(model) != plain
