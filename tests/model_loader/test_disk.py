"""Files written and hashed block by block: whole, or told why not."""

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_loader import disk
from model_loader.disk import write_file
from model_loader.errors import DiskFull
from model_loader.manifest import FileEntry


def _blocks(count: int) -> list[bytes]:
    return [os.urandom(1000 + number) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 40])
@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_file_is_its_blocks(count: int, kind: type, tmp_path: Path) -> None:
    """In order, however many; its size and digest are those of the bytes."""
    content = b"".join(blocks := _blocks(count))
    entry = write_file(tmp_path / "a" / "b.bin", map(kind, blocks))
    assert entry == FileEntry(len(content), hashlib.sha256(content).hexdigest())
    assert (tmp_path / "a" / "b.bin").read_bytes() == content


@pytest.mark.parametrize("failing", [1, 2, 7, 20])
def test_disk_that_fills_up_is_told(failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever block finds it full, the last one too."""
    written, write = 0, os.write

    def write_until_full(descriptor: int, data: bytes) -> int:
        nonlocal written
        written += 1
        if written == failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", write_until_full)
    with pytest.raises(DiskFull, match=r"writing b\.bin: No space left"):
        write_file(tmp_path / "b.bin", _blocks(20))


def test_source_that_fails_is_heard(tmp_path: Path) -> None:
    """Its error is raised as it is."""

    def blocks() -> Iterator[bytes]:
        yield from _blocks(5)
        raise InterruptedError("the store went away")

    with pytest.raises(InterruptedError, match="the store went away"):
        write_file(tmp_path / "b.bin", blocks())


@pytest.mark.parametrize("failure", [None, OSError(errno.ENOSPC, "full"), OSError(errno.EOPNOTSUPP, "cannot")])
@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 250])
def test_room_leaves_no_trace(
    size: int, failure: OSError | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As much ahead as was written, up to a bound, and given back. Files are written without it, too."""
    asked, take = [], os.posix_fallocate

    def fallocate(descriptor: int, begin: int, size: int) -> None:
        asked.append((begin, size))
        take(descriptor, begin, size // 2 if failure else size)
        if failure is not None:
            raise failure

    monkeypatch.setattr(disk, "_MOST_ROOM_BYTES", 100 << 10)
    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    blocks = [os.urandom(1 << 10) for _ in range(size)]
    entry = write_file(tmp_path / "a.bin", blocks)
    found = (tmp_path / "a.bin").stat()
    assert (found.st_size, entry.size_bytes) == (size << 10, size << 10)
    assert (tmp_path / "a.bin").read_bytes() == b"".join(blocks)
    assert found.st_blocks * 512 <= (size << 10) + (64 << 10)
    begins = [1, 2, 4, 8, 16, 32, 64, 128, 228]
    assert asked == [(begin << 10, min(begin, 100) << 10) for begin in begins if begin < size]


def test_where_nothing_takes_room_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has no such call."""
    monkeypatch.delattr(os, "posix_fallocate")
    blocks = _blocks(5)
    write_file(tmp_path / "a.bin", blocks)
    assert (tmp_path / "a.bin").read_bytes() == b"".join(blocks)
