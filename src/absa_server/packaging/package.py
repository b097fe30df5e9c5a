"""From model folders to one `model.tar.gz`: staged, converted, asked, measured, packed, opened again, renamed.

Whatever fails, the file that was there before stays.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from absa_server.absa.artifact import ROLE_FOLDERS, Artifact, open_artifact
from absa_server.engines.factory import EngineChoice
from absa_server.engines.folder_cache import FolderCache
from absa_server.engines.network import packed_networks
from absa_server.engines.openvino_library import openvino
from absa_server.engines.precision import Precision, choose_precision, cpu_features, cpu_signature
from absa_server.errors import InvalidModel
from absa_server.packaging.errors import InvalidInputs
from absa_server.packaging.int8 import Int8Options, add_int8
from absa_server.packaging.load_memory import measure_load
from absa_server.packaging.networks import add_network, add_tokenizer, checkpoints, drop_weights
from absa_server.packaging.staging import Inputs, stage
from absa_server.serving.cache_disk import CacheDisk
from absa_server.serving.engine_cache import EngineCache
from absa_server.serving.loading import EngineOptions, load_model
from absa_server.serving.self_test import Answer, ask, steady, write_self_test
from model_loader import ArtifactError, Footprint, Limits, open_folder
from model_loader.archive import unpack
from model_loader.file_hashes import sha256_of
from model_loader.manifest import MANIFEST_NAME, check_fetched, write_manifest
from model_loader.packing import write_archive

_BLOCK_BYTES = 1 << 20
_MEASURE_REVISION = 2  # of how the memory of a load is measured; what was kept of an earlier one is not used
_ENDINGS = (".tar.gz", ".tgz")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PackOptions:
    """What goes into the artifact beside the models. `is_compiled_only` leaves the safetensors out."""

    is_compiled: bool = True
    is_compiled_only: bool = False
    is_measured: bool = True
    int8: Int8Options | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """What was written. `files` are relative paths and their sizes; `measured` the memory of a load by precision."""

    file: Path
    sha256: str
    size_bytes: int
    kind: str
    files: dict[str, int]
    answers: int
    measured: dict[str, Footprint] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    int8: dict[str, dict[str, float | str]] = field(default_factory=dict)


def package(inputs: Inputs, out: Path, options: PackOptions, *, cache_dir: Path, say: Say) -> Packed:
    """Packs `inputs` into the archive `out`, over an earlier one. `say` is told each step.

    Networks and measurements are kept in `cache_dir`, and taken from there the next time.

    Raises `PackagingError`, and what the server would refuse in its own words: `InvalidModel`, `ArtifactError`.
    """
    _check(out, options)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".packing-") as work:
        root = Path(work) / "artifact"
        root.mkdir()
        say("copying")
        left_out = stage(inputs, root)
        return _package(
            root, Path(work), out, options, cache=EngineCache(CacheDisk(cache_dir)), say=say, left_out=left_out
        )


def _check(out: Path, options: PackOptions) -> None:
    if not out.name.endswith(_ENDINGS):
        raise InvalidInputs(f"--out: expected a file name that ends in {' or '.join(_ENDINGS)}, got {out.name}")
    if not out.parent.is_dir():
        raise InvalidInputs(f"--out: there is no folder {out.parent}")
    if options.is_compiled_only and not options.is_compiled:
        raise InvalidInputs("--compiled-only leaves the weights out, --no-compiled the networks: choose one of them")
    if options.int8 and not options.is_compiled:
        raise InvalidInputs("--int8 makes another compiled network, --no-compiled leaves them out: choose one of them")


def _package(
    root: Path, work: Path, out: Path, options: PackOptions, *, cache: FolderCache, say: Say, left_out: list[str]
) -> Packed:
    top = open_folder(root, own_folders=ROLE_FOLDERS).root  # a lone top folder is no part of the artifact
    artifact = open_artifact(top)
    choice = EngineChoice("auto", streams=1, cache=cache)
    for checkpoint in checkpoints(artifact):
        if add_tokenizer(checkpoint, choice):
            say(f"converted the slow tokenizer of {checkpoint.folder.name}/")
        if options.is_compiled:
            say(f"converting {checkpoint.folder.name}/ for OpenVINO")
            add_network(checkpoint, choice)
    int8 = add_int8(top, artifact, options.int8, choice, say) if options.int8 else {}
    if options.is_compiled_only:
        for checkpoint in checkpoints(artifact):
            drop_weights(checkpoint)
    say("asking the model for its self-test")
    answers = _answers(top, artifact, choice)
    write_self_test(top, answers)
    measured = _measured(top, artifact, choice, say) if options.is_measured else {}
    entries = write_manifest(top, measured=measured)
    say("packing")
    archive = work / "model.tar.gz"
    size = write_archive(top, archive)
    say("opening it again as the server does")
    _verify(archive, work / "opened", out, choice, _precisions(artifact))
    digest = sha256_of(archive)
    archive.replace(out)
    _sync(out.parent)
    files = {name: entry.size_bytes for name, entry in entries.items()}
    files[MANIFEST_NAME] = (top / MANIFEST_NAME).stat().st_size
    return Packed(out, digest, size, artifact.kind, files, len(answers), measured, tuple(left_out), int8)


def _precisions(artifact: Artifact) -> list[Precision]:
    """Those that the artifact's networks, or its weights, can run in here, float32 first."""
    packed = [set(packed_networks(one.folder)) for one in checkpoints(artifact)]
    has_weights = all(any(one.folder.glob("*.safetensors")) for one in checkpoints(artifact))
    found: list[Precision] = ["f32"] if has_weights or all("f32" in one for one in packed) else []
    if found and choose_precision("auto", packed=(), features=cpu_features()) == "bf16":
        found.append("bf16")
    return [*found, "int8"] if all("int8" in one for one in packed) else found


def _answers(root: Path, artifact: Artifact, choice: EngineChoice) -> list[Answer]:
    """The answers to store: of the first precision there is, as far as the others agree."""
    precisions = _precisions(artifact)
    if not precisions:
        raise InvalidModel("the models bring networks of different precisions, so that none can run: pack them again")
    first, *others = [(precision, _ask(root, replace(choice, precision=precision))) for precision in precisions]
    return steady(first[1], others)


def _ask(root: Path, choice: EngineChoice) -> list[Answer]:
    model = load_model(root, EngineOptions(choice))
    try:
        return ask(model.pipeline)
    finally:
        model.close()


def _measured(root: Path, artifact: Artifact, choice: EngineChoice, say: Say) -> dict[str, Footprint]:
    """The memory of a load in each precision that has its network in the artifact."""
    packed = [set(packed_networks(one.folder)) for one in checkpoints(artifact)]
    found: dict[str, Footprint] = {}
    for precision in _precisions(artifact):
        if all(("int8" if precision == "int8" else "f32") in one for one in packed):
            say(f"measuring a load in {precision}")
            found[precision] = _measured_once(root, precision, choice)
    return found


def _measured_once(root: Path, precision: Precision, choice: EngineChoice) -> Footprint:
    """Kept, so that the same input gives the same bytes: no two measurements are quite equal."""
    files = {one.relative_to(root).as_posix(): sha256_of(one) for one in sorted(root.rglob("*")) if one.is_file()}
    versions = f"openvino {openvino().__version__} {cpu_signature(cpu_features())}"
    key = f"load {_MEASURE_REVISION} {json.dumps(files)} {precision} {versions}"

    def fill(folder: Path) -> None:
        found = measure_load(root, precision)
        (folder / "load.json").write_text(json.dumps([found.resident_bytes, found.peak_bytes]))

    lease = choice.cache.lease(key, fill)
    try:
        resident, peak = json.loads((lease.path / "load.json").read_text())
    finally:
        lease.release()
    return Footprint(resident, peak)


def _verify(archive: Path, opened: Path, out: Path, choice: EngineChoice, precisions: list[Precision]) -> None:
    """Raises what the server would, were it given the archive: by checksum, by file, by model, by answer."""
    opened.mkdir()
    room = Limits(max_bytes=shutil.disk_usage(opened).free)
    check_fetched(opened, unpack(_blocks(archive), opened, uri=out.name, limits=room))
    for precision in precisions:
        load_model(opened, EngineOptions(replace(choice, precision=precision), self_test=True)).close()


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def told_as_one() -> Iterator[None]:
    """Raises `InvalidModel` for an `ArtifactError`, whose messages are as fit for the artifact's owner."""
    try:
        yield
    except ArtifactError as error:
        raise InvalidModel(str(error)) from error
