"""A folder of model files, opened: its real root, its files and their sizes."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from model_loader.errors import ArtifactInvalid, ArtifactMissing
from model_loader.manifest import MANIFEST_NAME, read_manifest, verify_files

# What packing tools leave behind and nobody means to ship; it is neither loaded nor a reason to refuse.
_LITTER = ("__MACOSX", ".DS_Store")


@dataclass(frozen=True, slots=True)
class ArtifactFolder:
    """An artifact's root and its files: relative POSIX path -> size in bytes."""

    root: Path
    files: dict[str, int]

    @property
    def size_bytes(self) -> int:
        """Bytes of all files together."""
        return sum(self.files.values())


def open_folder(path: Path, *, own_folders: Collection[str] = ()) -> ArtifactFolder:
    """The artifact at `path`; a single nested top folder, as `tar czf x.tar.gz folder/` makes, is entered.

    `own_folders` are names that belong to the artifact itself: a lone folder of such a name is no wrapper.

    Raises `ArtifactMissing` for nothing there, `ArtifactInvalid` for a symbolic link or another special file, and
    `ArtifactCorrupt` when the folder has a manifest that its files do not match.
    """
    if not path.is_dir():
        raise ArtifactMissing(f"{path}: no such folder; mount or unpack the model there")
    root = _enter_nested(path, own_folders)
    files = {file.relative_to(root).as_posix(): file.stat().st_size for file in _regular_files(root)}
    if not files:
        raise ArtifactMissing(f"{path}: the folder is empty; mount or unpack the model there")
    if MANIFEST_NAME in files:
        verify_files(root, read_manifest(root))
    return ArtifactFolder(root, files)


def _enter_nested(path: Path, own_folders: Collection[str]) -> Path:
    children = [child for child in path.iterdir() if child.name not in _LITTER]
    if len(children) != 1 or children[0].name in own_folders:
        return path
    return children[0] if children[0].is_dir() and not children[0].is_symlink() else path


def _regular_files(root: Path) -> Iterator[Path]:
    for file in sorted(root.rglob("*")):
        if any(part in _LITTER for part in file.relative_to(root).parts):
            continue
        if file.is_symlink():
            raise ArtifactInvalid(
                f"{file.relative_to(root)} is a symbolic link, which SageMaker does not unpack; "
                "copy the folder with `cp -rL` and pack it again"
            )
        if file.is_file():
            yield file
        elif not file.is_dir():
            raise ArtifactInvalid(
                f"{file.relative_to(root)} is neither a file nor a folder; remove it from the artifact"
            )
