"""Compiled artifacts by the hundred, all weights different: networks converted once, then changed for each artifact.

Knows no server and no store but a folder.
"""

import json
import re
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from absa_server.engines.network import GRAPH, WEIGHTS, read_info, write_info
from absa_server.packaging.package import PackOptions, package
from absa_server.packaging.staging import Inputs
from absa_server.serving.footprints import predicted_footprint
from absa_server.serving.model_memory import room_for_models
from absa_server.serving.self_test import FILE_NAME as SELF_TEST
from model_loader import Footprint
from model_loader.manifest import read_measured, write_manifest
from tests.tiny_models import build_tiny_models

# By how much each weight differs from the base's, at most.
_CHANGE = 0.2
_LEAST_BYTES = 4096
_DATA, _FIELD = re.compile(r"<data [^>]*>"), re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Base:
    """A compiled artifact, unpacked, and what a load of it takes."""

    folder: Path
    footprint: Footprint


def pack_base(models: Path, work: Path, *, is_measured: bool = True) -> Base:
    """The model folders `models` as an artifact of networks alone, below `work`; it has scores in its answers."""
    work.mkdir(parents=True, exist_ok=True)
    options = work / "absa.json"
    options.write_text(json.dumps({"output": {"scores": True}}))
    aspect, sentiment = (models / role if (models / role).is_dir() else None for role in ("aspect", "sentiment"))
    packed = package(
        Inputs(aspect=aspect, sentiment=sentiment, absa_json=options),
        work / "base.tar.gz",
        PackOptions(is_compiled_only=True, is_measured=is_measured),
        cache_dir=work / "packing",
        say=lambda _: None,
    )
    folder = work / "base"
    with tarfile.open(packed.file) as tar:
        tar.extractall(folder, filter="data")
    packed.file.unlink()
    (folder / SELF_TEST).unlink(missing_ok=True)  # other weights give other answers
    measured = read_measured(folder)
    write_manifest(folder, measured=measured)
    return Base(folder, measured.get("f32") or _predicted(folder))


def _predicted(folder: Path) -> Footprint:
    """Of an artifact without measurements: all that is read, and then the weights."""
    weights = sum(file.stat().st_size for file in folder.rglob(WEIGHTS))
    return Footprint.of(weights, peak_bytes=predicted_footprint(folder).peak_bytes)


def write_variant(base: Base, out: Path, *, seed: int) -> None:
    """The artifact `out`: `base` with every weight another, by a factor drawn from `seed`."""
    shutil.copytree(base.folder, out)
    random = np.random.default_rng(seed)
    for weights in out.rglob(WEIGHTS):
        _change(weights, random)
        write_info(weights.parent, read_info(weights.parent))
    write_manifest(out, measured=read_measured(base.folder))


def _change(weights: Path, random: np.random.Generator) -> None:
    data = bytearray(weights.read_bytes())
    for at, size in _matrices(weights.parent / GRAPH):
        numbers = np.frombuffer(bytes(data[at : at + size]), np.float32)
        factors = random.uniform(1 - _CHANGE, 1 + _CHANGE, len(numbers)).astype(np.float32)
        data[at : at + size] = (numbers * factors).tobytes()
    weights.write_bytes(data)


def _matrices(graph: Path) -> Iterator[tuple[int, int]]:
    """Where the weights file has matrices of float32, and their bytes; not masks, epsilons, ids and shapes."""
    for found in _DATA.finditer(graph.read_text(encoding="utf-8")):
        fields = dict(_FIELD.findall(found[0]))
        if fields.get("element_type") == "f32" and int(fields.get("size", 0)) >= _LEAST_BYTES:
            yield int(fields["offset"]), int(fields["size"])


def budget_mb(room_bytes: int) -> int:
    """The least ABSA_MEMORY_BUDGET_MB that leaves so much room for models."""
    return next(mb for mb in count(room_bytes >> 20) if room_for_models(mb << 20) >= room_bytes)


def make_bases(work: Path, hidden_sizes: Sequence[int]) -> list[Base]:
    """Models of these widths, with random weights, packed and measured below `work`."""
    bases = []
    for hidden_size in hidden_sizes:
        folder = work / f"width-{hidden_size}"
        bases.append(pack_base(build_tiny_models(folder / "models", hidden_size=hidden_size, epochs=0), folder))
    return bases


def write_store(store: Path, count: int, bases: Sequence[Base]) -> dict[str, Footprint]:
    """Fills the folder `store` with `count` artifacts, of these bases in turn: what a load of each takes, by name."""
    footprints: dict[str, Footprint] = {}
    for number in range(count):
        base, name = bases[number % len(bases)], f"model-{number:03}"
        write_variant(base, store / name, seed=number)
        footprints[name] = base.footprint
    return footprints
