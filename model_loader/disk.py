"""Files written into a folder that is being filled: never over another, never through a link. Knows no artifact."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from model_loader.errors import ArchiveUnsafe, DiskFull
from model_loader.manifest import FileEntry

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_CLASHES = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_file(file: Path, blocks: Iterable[bytes]) -> FileEntry:
    """Size and sha256 of the new file that `blocks` make; its folders are made as needed.

    Its mode is 0644 less the umask. Raises `DiskFull`, `ArchiveUnsafe` when a file stands where a folder is needed or
    the other way round, and whatever `blocks` raises.
    """
    digest, size_bytes = _Digest(), 0
    with _created(file) as descriptor, closing(digest):
        for block in blocks:
            digest.update(block)
            with _translated(file):
                _write_all(descriptor, block)
            size_bytes += len(block)
        return FileEntry(size_bytes, digest.hexdigest())


class _Digest:
    """A sha256 taken by a thread of its own from the second block on, while that is written and the next one made."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._pool: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None
        self._blocks = 0

    def update(self, block: bytes) -> None:
        """Takes the next block; waits until the one before is done, so that no more than two are held."""
        self._blocks += 1
        if self._blocks == 1:  # most files have no other
            self._hash.update(block)
            return
        self._wait()
        self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="model-loader-hash")
        self._last = self._pool.submit(self._hash.update, block)

    def hexdigest(self) -> str:
        """Of all blocks."""
        self._wait()
        return self._hash.hexdigest()

    def close(self) -> None:
        """Ends the thread."""
        if self._pool is not None:
            self._pool.shutdown()

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()


@contextmanager
def _created(file: Path) -> Iterator[int]:
    with _translated(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, _FLAGS, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def _translated(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise DiskFull(f"writing {file.name}: {error.strerror}; free space, or lower the disk budget") from error
        if error.errno in _CLASHES:
            raise ArchiveUnsafe(f"{file.name} would be both a file and a folder; pack the folder again") from error
        raise
