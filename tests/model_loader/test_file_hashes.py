"""Digests that are remembered: of files that are the same, and never of others."""

import hashlib
import os
import time
from io import FileIO
from pathlib import Path

import pytest

from model_loader import file_hashes
from model_loader.file_hashes import FileHashes

LATER_S = 10.0


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were read, in order."""
    read: list[Path] = []

    def watched(stream: FileIO) -> str:
        read.append(Path(stream.name))
        return digest(stream)

    digest = file_hashes._digest
    monkeypatch.setattr(file_hashes, "_digest", watched)
    return read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that has just been written."""
    (tmp_path / "weights").write_bytes(b"weights")
    return tmp_path / "weights"


def _hashes(file: Path, *, later_s: float = LATER_S) -> FileHashes:
    written_s = file.stat().st_mtime
    return FileHashes(clock=lambda: written_s + later_s)


def test_file_is_read_once(file: Path, reads: list[Path]) -> None:
    """As long as nobody writes to it."""
    hashes = _hashes(file)
    assert [hashes.sha256_of(file) for _ in range(3)] == [_hash(b"weights")] * 3
    assert reads == [file]


def test_file_that_was_written_again_is_read_again(file: Path, reads: list[Path]) -> None:
    """With the same size, too, and where the time of its last write is set back."""
    hashes = _hashes(file)
    hashes.sha256_of(file)
    before = file.stat()
    time.sleep(0.02)  # kernels before 6.13 have coarse clocks for files
    file.write_bytes(b"Weights")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_ctime_ns != before.st_ctime_ns
    assert hashes.sha256_of(file) == _hash(b"Weights")
    assert len(reads) == 2


def test_file_in_its_place_is_read(file: Path, reads: list[Path]) -> None:
    """A path says nothing: another file may have been moved there."""
    hashes = _hashes(file)
    hashes.sha256_of(file)
    (other := file.with_name("other")).write_bytes(b"WEIGHTS")
    other.replace(file)
    assert hashes.sha256_of(file) == _hash(b"WEIGHTS")
    assert len(reads) == 2


@pytest.mark.parametrize(("later_s", "times_read"), [(1.0, 2), (4.0, 1)])
def test_file_written_a_moment_ago_is_not_remembered(
    later_s: float, times_read: int, file: Path, reads: list[Path]
) -> None:
    """Written once more within a tick of the file system's clock it would look the same."""
    hashes = _hashes(file, later_s=later_s)
    hashes.sha256_of(file)
    hashes.sha256_of(file)
    assert len(reads) == times_read


@pytest.mark.parametrize(("age_s", "is_touched"), [(1.0, False), (LATER_S, True)])
def test_file_that_may_change_while_it_is_read_is_not_remembered(
    age_s: float, is_touched: bool, file: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written a moment before a long read, or during it: neither its age nor its identity is that of the end."""
    now_s = file.stat().st_mtime + age_s
    hashes = FileHashes(clock=lambda: now_s)
    digest = file_hashes._digest

    def slow(stream: FileIO) -> str:
        nonlocal now_s
        now_s += 60.0
        found = digest(stream)
        if is_touched:
            time.sleep(0.02)
            os.utime(file)
        return found

    monkeypatch.setattr(file_hashes, "_digest", slow)
    hashes.sha256_of(file)
    assert len(reads) == 1
    assert not hashes._known


def test_no_more_files_are_remembered_than_the_limit(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one asked for longest ago is forgotten."""
    monkeypatch.setattr(file_hashes, "_MOST_FILES", 2)
    files = [tmp_path / name for name in "abc"]
    for one in files:
        one.write_text(one.name)
    hashes = _hashes(files[-1])
    for one in (files[0], files[1], files[0], files[2]):
        hashes.sha256_of(one)
    assert reads == files
    hashes.sha256_of(files[0])
    hashes.sha256_of(files[1])
    assert reads == [*files, files[1]]


def test_missing_file_is_told(tmp_path: Path) -> None:
    """As reading it would."""
    with pytest.raises(FileNotFoundError):
        FileHashes().sha256_of(tmp_path / "missing")
