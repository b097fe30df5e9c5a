"""Files written block by block, while others hash and write them: whole, or told why not, and nothing left running."""

import errno
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_loader import disk
from model_loader.disk import write_file
from model_loader.errors import DiskFull
from model_loader.manifest import FileEntry


def _helpers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("model-loader")]


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
    assert not _helpers()


@pytest.mark.parametrize("failing", [1, 2, 7, 20])
def test_disk_that_fills_up_is_told(failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever block finds it full, the last one too; whoever wrote has ended before the file is closed."""
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
    assert not _helpers()


def test_source_that_fails_ends_the_helpers(tmp_path: Path) -> None:
    """Its error is raised as it is."""

    def blocks() -> Iterator[bytes]:
        yield from _blocks(5)
        raise InterruptedError("the store went away")

    with pytest.raises(InterruptedError, match="the store went away"):
        write_file(tmp_path / "b.bin", blocks())
    assert not _helpers()


def test_full_disk_is_told_whatever_follows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails too, after the disk was full, is not the reason that helps; and no more is asked of it."""
    write, taken, failed = os.write, 0, threading.Event()

    def full(descriptor: int, data: bytes) -> int:
        if data == b"first":
            return write(descriptor, data)
        failed.set()
        raise OSError(errno.ENOSPC, "No space left on device")

    def blocks() -> Iterator[bytes]:
        nonlocal taken
        yield b"first"
        yield b"second"
        assert failed.wait(10)
        time.sleep(0.1)
        taken += 1
        yield b"third"
        taken += 1
        yield b"fourth"

    def failing() -> Iterator[bytes]:
        yield b"first"
        yield b"second"
        raise TimeoutError("the store is silent")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DiskFull):
        write_file(tmp_path / "a.bin", blocks())
    assert taken == 1
    with pytest.raises(DiskFull):
        write_file(tmp_path / "b.bin", failing())
    assert not _helpers()


def test_slow_disk_holds_few_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast they arrive: those that wait, one that is written and one that was made."""
    may_write, write = threading.Event(), os.write
    made = 0

    def slow_write(descriptor: int, data: bytes) -> int:
        assert made == 0 or may_write.wait(20)
        return write(descriptor, data)

    def blocks() -> Iterator[bytes]:
        nonlocal made
        yield b"first"  # written by this thread
        for block in _blocks(30):
            made += 1
            yield block

    def release() -> None:
        end_s = time.monotonic() + 10
        while made < disk._MOST_PENDING + 1 and time.monotonic() < end_s:
            time.sleep(0.01)
        time.sleep(0.1)
        seen.append(made)
        may_write.set()

    seen: list[int] = []
    monkeypatch.setattr(os, "write", slow_write)
    releaser = threading.Thread(target=release, daemon=True)
    releaser.start()
    write_file(tmp_path / "b.bin", blocks())
    releaser.join()
    assert seen == [disk._MOST_PENDING + 1]
    assert made == 30
