"""A folder of model files: its root, its files, and what is refused in it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from model_loader import ArtifactCorrupt, ArtifactInvalid, ArtifactMissing, open_folder
from model_loader.manifest import write_manifest


def _write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"12345")


def test_files_are_listed_with_their_sizes(tmp_path: Path) -> None:
    """By relative POSIX path, litter of packing tools left out."""
    _write(tmp_path, "aspect/config.json", "sentiment/sub/x.txt", "absa.json", ".DS_Store", "__MACOSX/aspect/x")
    folder = open_folder(tmp_path)
    assert folder.root == tmp_path
    assert folder.files == {"aspect/config.json": 5, "sentiment/sub/x.txt": 5, "absa.json": 5}
    assert folder.size_bytes == 15


@pytest.mark.parametrize(
    ("names", "root"),
    [
        (["model/aspect/config.json", "model/sentiment/config.json"], "model"),
        (["model/aspect/config.json", "model/absa.json"], "model"),
        (["model/config.json", "model/model.safetensors"], "model"),
        (["model/config.json", "__MACOSX/x", ".DS_Store"], "model"),
        (["aspect/config.json", "sentiment/config.json"], "."),
        (["model/config.json", "absa.json"], "."),
        (["config.json", "onnx/model.onnx"], "."),
        (["outer/inner/config.json"], "outer"),
    ],
)
def test_one_nested_top_folder_is_entered(names: list[str], root: str, tmp_path: Path) -> None:
    """As `tar czf x.tar.gz folder/` makes; a folder with company is no wrapper, and only one level is entered."""
    _write(tmp_path, *names)
    assert open_folder(tmp_path).root == tmp_path / root


@pytest.mark.parametrize(("name", "root"), [("aspect", "."), ("wrapper", "wrapper")])
def test_lone_folder_of_the_artifacts_own_is_no_wrapper(name: str, root: str, tmp_path: Path) -> None:
    """An artifact of one part keeps its layout; any other lone folder is entered."""
    _write(tmp_path, f"{name}/config.json")
    assert open_folder(tmp_path, own_folders=("aspect", "sentiment")).root == tmp_path / root


def _link(root: Path) -> None:
    (root / "tokenizer.json").symlink_to(root / "config.json")


def _link_to_folder(root: Path) -> None:
    (root / "aspect").symlink_to(root)


def _pipe(root: Path) -> None:
    os.mkfifo(root / "pipe")


@pytest.mark.parametrize(
    ("spoil", "telling"),
    [
        (_link, "tokenizer.json is a symbolic link, which SageMaker does not unpack"),
        (_link_to_folder, "aspect is a symbolic link"),
        (_pipe, "pipe is neither a file nor a folder"),
    ],
)
def test_links_and_special_files_are_refused(spoil: Callable[[Path], None], telling: str, tmp_path: Path) -> None:
    """What would read elsewhere, or block for ever, is named and not opened."""
    _write(tmp_path, "config.json")
    spoil(tmp_path)
    with pytest.raises(ArtifactInvalid, match=telling):
        open_folder(tmp_path)


def test_lone_link_is_refused_and_not_entered(tmp_path: Path) -> None:
    """A wrapper that is a link is a link."""
    _write(tmp_path, "elsewhere/config.json")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "wrapper").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactInvalid, match="wrapper is a symbolic link"):
        open_folder(tmp_path / "model")


@pytest.mark.parametrize("names", [[], ["__MACOSX/x"]])
def test_nothing_there_is_missing(names: list[str], tmp_path: Path) -> None:
    """No folder, an empty one, or one with litter alone."""
    _write(tmp_path, *names)
    with pytest.raises(ArtifactMissing, match="the folder is empty; mount or unpack the model there"):
        open_folder(tmp_path)
    with pytest.raises(ArtifactMissing, match="no such folder; mount or unpack the model there"):
        open_folder(tmp_path / "absent")


def test_manifest_is_checked_where_it_lies(tmp_path: Path) -> None:
    """With a manifest every listed file must be as packed; a nested top folder brings its own."""
    _write(tmp_path, "model/aspect/config.json")
    write_manifest(tmp_path / "model")
    assert "manifest.json" in open_folder(tmp_path).files
    (tmp_path / "model" / "aspect" / "config.json").write_bytes(b"12346")
    with pytest.raises(ArtifactCorrupt, match=r"aspect/config\.json does not match its sha256"):
        open_folder(tmp_path)
