"""Archives written by us: the same bytes from the same files, and what the loader asks of an archive."""

import gzip
import io
import os
import tarfile
import zlib
from pathlib import Path

import pytest

from model_loader import Footprint, Limits
from model_loader.archive import unpack
from model_loader.errors import ArtifactCorrupt
from model_loader.manifest import MANIFEST_NAME, check_fetched, read_manifest, read_measured, write_manifest
from model_loader.packing import write_archive

FILES = {"aspect/model.safetensors": os.urandom(300_000), "absa.json": b"{}", "aspect/" + "long" * 40: b"", "b": b"1"}


def write(root: Path) -> Path:
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    """Whatever their times, modes and hard links, the order they were made in, and the archive's name."""
    one, other = write(tmp_path / "one"), write(tmp_path / "other")
    os.utime(other / "b", (1, 1))
    (other / "b").chmod(0o600)
    (other / "absa.json").unlink()
    os.link(one / "absa.json", other / "absa.json")
    write_archive(one, tmp_path / "one.tar.gz")
    write_archive(other, tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_members_are_plain_files_at_the_root(tmp_path: Path) -> None:
    """Sorted, relative, owned by nobody; what the loader unpacks is what was packed."""
    seen: list[int] = []
    size = write_archive(write(tmp_path / "root"), tmp_path / "a.tar.gz", watch=seen.append)
    packed = (tmp_path / "a.tar.gz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == sorted(FILES)
    assert all(member.isreg() and (member.uid, member.mode) == (0, 0o644) for member in members)
    assert (size, sum(seen)) == (len(packed), sum(map(len, FILES.values())))
    (tmp_path / "out").mkdir()
    unpack(iter([packed]), tmp_path / "out", uri="a.tar.gz", limits=Limits(max_bytes=1 << 20))
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES


@pytest.mark.parametrize("is_smaller", [False, True])
def test_what_hardly_compresses_is_stored(is_smaller: bool, tmp_path: Path) -> None:
    """Large files of noise pass as they are, others are compressed; one gzip member, for readers that do not seek."""
    root = write(tmp_path / "root")
    noise = b"".join(os.urandom(512) + (bytes(512) if is_smaller else os.urandom(512)) for _ in range(2048))
    (root / "aspect" / "large.bin").write_bytes(noise)
    size = write_archive(root, tmp_path / "a.tar.gz")
    assert (size < 0.8 * len(noise)) == is_smaller
    packed = (tmp_path / "a.tar.gz").read_bytes()
    whole = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert noise in whole.decompress(packed)
    assert (whole.eof, whole.unused_data) == (True, b"")
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r|gz") as tar:
        assert "aspect/large.bin" in {member.name for member in tar}
    assert (noise[:4096] in packed) != is_smaller
    (tmp_path / "out").mkdir()
    unpack(iter([packed]), tmp_path / "out", uri="a.tar.gz", limits=Limits(max_bytes=1 << 22))
    assert (tmp_path / "out" / "aspect" / "large.bin").read_bytes() == noise
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES


def test_existing_archive_is_not_written_over(tmp_path: Path) -> None:
    """Whoever wants that writes beside it and renames."""
    (tmp_path / "a.tar.gz").write_bytes(b"1")
    with pytest.raises(FileExistsError):
        write_archive(write(tmp_path / "root"), tmp_path / "a.tar.gz")


def test_manifest_keeps_what_was_measured(tmp_path: Path) -> None:
    """The footprint of a load by precision, beside the files; a manifest without it tells of none."""
    found = write_manifest(write(tmp_path), measured={"f32": Footprint(10, 20), "int8": Footprint(3, 3)})
    assert read_measured(tmp_path) == {"f32": Footprint(10, 20), "int8": Footprint(3, 3)}
    assert read_manifest(tmp_path) == found
    check_fetched(tmp_path, found | {MANIFEST_NAME: found["absa.json"]})
    write_manifest(tmp_path)
    assert read_measured(tmp_path) == {}
    (tmp_path / MANIFEST_NAME).write_text(
        '{"version": 1, "files": {}, "measured": {"f32": {"resident_bytes": "many"}}}'
    )
    with pytest.raises(ArtifactCorrupt, match="not readable"):
        read_measured(tmp_path)
