"""Files written and hashed block by block: whole, or told why not."""

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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
