"""An artifact's manifest: size and sha256 of each file, written by whoever packs it, checked by whoever loads it.

It may also tell what memory loading the artifact took on its packer's machine.

Reader and writer stand together, so that they cannot drift apart. Knows nothing of what the files mean.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model_loader.errors import ArtifactCorrupt
from model_loader.file_hashes import FileHashes, sha256_of
from model_loader.memory_entry import Footprint

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 1
# Files read and hashed at a time: a load waits for all of them, and an artifact of two models has two large ones.
_HASHING_THREADS = 4
# Models leave memory and come back, and their files in the disk cache are the same.
_known_hashes = FileHashes()


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file as its maker packed it."""

    size_bytes: int
    sha256: str


def content_hash(folder: Path) -> str:
    """Hex digest of the names and bytes of the files directly in `folder`.

    Where `folder` or the one above it has a manifest, its digests are taken (whoever opened the artifact has verified
    them); else the files are read.
    """
    digest = hashlib.sha256()
    known = _known_digests(folder)
    for file in sorted(child for child in folder.iterdir() if child.is_file() and child.name != MANIFEST_NAME):
        digest.update(f"{file.name}\0{known.get(file.name) or _known_hashes.sha256_of(file)}\n".encode())
    return digest.hexdigest()


def artifact_hash(root: Path) -> str:
    """Hex digest of a whole artifact: of its manifest where it has one, else of names and bytes of all its files."""
    if (root / MANIFEST_NAME).is_file():
        return _known_hashes.sha256_of(root / MANIFEST_NAME)
    digest = hashlib.sha256()
    for file in sorted(child for child in root.rglob("*") if child.is_file()):
        digest.update(
            f"{file.relative_to(root).as_posix()}\0{_known_hashes.sha256_of(file)}\n".encode(errors="surrogateescape")
        )
    return digest.hexdigest()


def _known_digests(folder: Path) -> dict[str, str]:
    for root, prefix in ((folder, ""), (folder.parent, f"{folder.name}/")):
        if (root / MANIFEST_NAME).is_file():
            entries = read_manifest(root)
            return {name.removeprefix(prefix): one.sha256 for name, one in entries.items() if name.startswith(prefix)}
    return {}


def write_manifest(root: Path, *, measured: Mapping[str, Footprint] | None = None) -> dict[str, FileEntry]:
    """Writes `manifest.json` over all other files of `root`, and returns its entries by relative POSIX path.

    `measured` is the memory of a load, by the caller's word for the way it was loaded.
    """
    files = sorted(file for file in root.rglob("*") if file.is_file() and file != root / MANIFEST_NAME)
    entries = {file.relative_to(root).as_posix(): FileEntry(file.stat().st_size, sha256_of(file)) for file in files}
    document = {
        "version": FORMAT_VERSION,
        "files": {name: asdict(entry) for name, entry in entries.items()},
        "measured": {way: asdict(footprint) for way, footprint in (measured or {}).items()},
    }
    (root / MANIFEST_NAME).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return entries


def read_manifest(root: Path) -> dict[str, FileEntry]:
    """The entries of `root`'s manifest. Raises `ArtifactCorrupt` when it is no manifest of a known version."""
    with _readable():
        return {str(name): FileEntry(**entry) for name, entry in _read(root)["files"].items()}


def read_measured(root: Path) -> dict[str, Footprint]:
    """What `write_manifest` was told of the memory of a load; empty where nothing was measured.

    Raises `ArtifactCorrupt` as `read_manifest` does.
    """
    with _readable():
        found = _read(root).get("measured") or {}
        return {
            str(way): Footprint.of(int(one["resident_bytes"]), peak_bytes=int(one["peak_bytes"]))
            for way, one in found.items()
        }


def _read(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((root / MANIFEST_NAME).read_text(encoding="utf-8"))
    if document["version"] != FORMAT_VERSION:
        raise ArtifactCorrupt(f"{MANIFEST_NAME}: version {document['version']!r}; this server reads {FORMAT_VERSION}")
    return document


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactCorrupt(f"{MANIFEST_NAME} is not readable ({error!r}); pack the artifact again") from error


def verify_files(root: Path, entries: dict[str, FileEntry]) -> None:
    """Raises `ArtifactCorrupt` naming the first file that is missing or not the one that was packed.

    Files are read unless this process has done so since they were last written.
    """
    for name, entry in entries.items():
        if name.startswith("/") or ".." in name.split("/"):
            raise ArtifactCorrupt(
                f"{MANIFEST_NAME} lists {name}, which leads out of the artifact; pack the artifact again"
            )
        file = root / name
        if not file.is_file():
            raise ArtifactCorrupt(
                f"{name} is missing, although {MANIFEST_NAME} lists it; pack or copy the artifact again"
            )
        size = file.stat().st_size
        if size != entry.size_bytes:
            raise ArtifactCorrupt(
                f"{name} has {size} bytes, {MANIFEST_NAME} says {entry.size_bytes}; copy the artifact again"
            )
    with ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="model-loader-hash") as pool:
        for (name, entry), found in zip(
            entries.items(), pool.map(lambda one: _known_hashes.sha256_of(root / one), entries), strict=True
        ):
            if found != entry.sha256:
                raise ArtifactCorrupt(f"{name} does not match its sha256 in {MANIFEST_NAME}; copy the artifact again")


def check_fetched(root: Path, found: Mapping[str, FileEntry]) -> None:
    """What `verify_files` checks, by sizes and digests that were taken while the files of `root` were written.

    The manifest is optional, and may lie in a lone top folder. Raises `ArtifactCorrupt`.
    """
    tops = {name.split("/")[0] for name in found}
    top = f"{tops.pop()}/" if MANIFEST_NAME not in found and len(tops) == 1 else ""
    if f"{top}{MANIFEST_NAME}" not in found:
        return
    for name, entry in read_manifest(root / top).items():
        if found.get(f"{top}{name}") != entry:
            raise ArtifactCorrupt(
                f"{name} is {_shown(found.get(f'{top}{name}'))}, {MANIFEST_NAME} says {_shown(entry)}; "
                "pack or copy the artifact again"
            )


def _shown(entry: FileEntry | None) -> str:
    return f"{entry.size_bytes:,} bytes with sha256 {entry.sha256}" if entry else "missing"
