"""The manifest: what its writer packed is what its reader demands."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_loader import ArtifactCorrupt
from model_loader.file_hashes import sha256_of
from model_loader.manifest import MANIFEST_NAME, FileEntry, read_manifest, verify_files, write_manifest


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """Two files in two folders, with their manifest."""
    (tmp_path / "aspect").mkdir()
    (tmp_path / "aspect" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "absa.json").write_text("{}")
    write_manifest(tmp_path)
    return tmp_path


def test_manifest_reads_as_it_was_written(packed: Path) -> None:
    """Sizes in bytes and sha256 by relative POSIX path, the manifest itself left out."""
    entries = read_manifest(packed)
    assert set(entries) == {"absa.json", "aspect/model.safetensors"}
    assert entries["aspect/model.safetensors"] == FileEntry(7, sha256_of(packed / "aspect" / "model.safetensors"))
    assert sha256_of(packed / "absa.json") == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    verify_files(packed, entries)


def test_manifest_written_again_is_the_same(packed: Path) -> None:
    """Packing twice changes nothing: the old manifest is no part of the new."""
    before = (packed / MANIFEST_NAME).read_bytes()
    write_manifest(packed)
    assert (packed / MANIFEST_NAME).read_bytes() == before


Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    ("damage", "telling"),
    [
        (lambda root: (root / "absa.json").unlink(), "absa.json is missing, although manifest.json lists it"),
        (lambda root: (root / "absa.json").write_text("{} "), "absa.json has 3 bytes, manifest.json says 2"),
        (
            lambda root: (root / "aspect" / "model.safetensors").write_bytes(b"Weights"),
            "aspect/model.safetensors does not match its sha256",
        ),
    ],
)
def test_file_that_is_not_the_packed_one_is_named(packed: Path, damage: Damage, telling: str) -> None:
    """Missing, of another size, or of the same size and another content."""
    damage(packed)
    with pytest.raises(ArtifactCorrupt) as refusal:
        verify_files(packed, read_manifest(packed))
    assert telling in str(refusal.value)


@pytest.mark.parametrize(
    ("document", "telling"),
    [
        ("{", "is not readable"),
        ("[]", "is not readable"),
        ('{"files": {}}', "is not readable"),
        ('{"version": 2, "files": {}}', "version 2; this server reads 1"),
        ('{"version": 1}', "is not readable"),
        ('{"version": 1, "files": {"a": {"size_bytes": 1}}}', "is not readable"),
        ('{"version": 1, "files": {"a": {"size_bytes": 1, "sha256": "x", "mode": 1}}}', "is not readable"),
        ('{"version": 1, "files": []}', "is not readable"),
    ],
)
def test_file_that_is_no_manifest_is_refused(document: str, telling: str, tmp_path: Path) -> None:
    """Another version or another form is said to be so; nothing of it is believed."""
    (tmp_path / MANIFEST_NAME).write_text(document)
    with pytest.raises(ArtifactCorrupt, match=telling):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/etc/passwd"])
def test_entry_outside_the_artifact_is_refused(name: str, tmp_path: Path) -> None:
    """A manifest does not make us read files that are not the artifact's."""
    with pytest.raises(ArtifactCorrupt, match="leads out of the artifact"):
        verify_files(tmp_path, {name: FileEntry(1, "0")})


@settings(max_examples=25, deadline=None)
@given(contents=st.dictionaries(st.sampled_from(["a", "b.bin", "ü/c", "d/e/f"]), st.binary(max_size=64), min_size=1))
def test_any_folder_verifies_until_a_byte_changes(
    contents: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever is packed verifies; one bit more or less anywhere does not."""
    root = tmp_path_factory.mktemp("packed")
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    write_manifest(root)
    entries = json.loads((root / MANIFEST_NAME).read_text())["files"]
    assert entries.keys() == contents.keys()
    verify_files(root, read_manifest(root))
    victim = min(contents)
    (root / victim).write_bytes(contents[victim][:-1] + bytes([(contents[victim] or b"\x00")[-1] ^ 1]))
    with pytest.raises(ArtifactCorrupt):
        verify_files(root, read_manifest(root))
