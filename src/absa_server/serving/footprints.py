"""What memory a model takes: as its packer measured it, else as its files tell. Knows no cache."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from absa_server.engines.network import PACKED_FOLDER, is_compiled_only, packed_networks
from absa_server.engines.precision import WantedPrecision, choose_precision, cpu_features
from absa_server.errors import InvalidModel
from model_loader import ArtifactError, Footprint
from model_loader.manifest import MANIFEST_NAME, read_measured


def predicted_footprint(folder: Path, *, precision: WantedPrecision = "auto") -> Footprint:
    """What loading the artifact in `folder` will take. Never raises for an artifact that is broken."""
    measured = _measured(folder)
    try:
        chosen = choose_precision(precision, packed=measured, features=cpu_features())
    except InvalidModel:  # that the load itself will tell
        chosen = "f32"
    return measured.get(chosen) or measured.get("f32") or Footprint.of(_loaded_bytes(folder))


def measured_resident_bytes(root: Path, engines: Sequence[str]) -> int:
    """What the packer measured for networks that run as `engines` names them; 0 where it did not."""
    ways = {name.rpartition(" ")[2] for name in engines}
    found = _measured(root).get(ways.pop()) if len(ways) == 1 else None
    return found.resident_bytes if found else 0


def _measured(folder: Path) -> dict[str, Footprint]:
    """The manifest may lie in a lone top folder."""
    for manifest in (folder / MANIFEST_NAME, *folder.glob(f"*/{MANIFEST_NAME}")):
        if manifest.is_file():
            try:
                return read_measured(manifest.parent)
            except ArtifactError:
                return {}
    return {}


def _loaded_bytes(folder: Path) -> int:
    """Bytes of the files that are loaded: of a model's networks and weights, the one that will run."""
    unused = set(_unused(folder))
    files = (file for file in folder.rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in files if unused.isdisjoint({file, *file.parents}))


def _unused(folder: Path) -> Iterator[Path]:
    for networks in folder.rglob(PACKED_FOLDER):
        packed = packed_networks(networks.parent)
        if packed and not is_compiled_only(networks.parent):
            yield from networks.parent.glob("*.safetensors")
        if "int8" in packed and "f32" in packed:
            yield packed["f32"]
