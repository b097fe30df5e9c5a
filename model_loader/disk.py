"""Files written into a folder that is being filled: never over another, never through a link. Knows no artifact."""

import errno
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from model_loader.errors import ArchiveUnsafe, DiskFull
from model_loader.manifest import FileEntry
from model_loader.pieces import Piece

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_CLASHES = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
# Blocks that wait for being hashed, and as many for being written. Higher: steadier, and more memory a fetch.
_MOST_PENDING = 4
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_file(file: Path, blocks: Iterable[Piece]) -> FileEntry:
    """Size and sha256 of the new file that `blocks` make; its folders are made as needed.

    Its mode is 0644 less the umask. Raises `DiskFull`, `ArchiveUnsafe` when a file stands where a folder is needed or
    the other way round, and whatever `blocks` raises.
    """
    digest, size_bytes = hashlib.sha256(), 0
    with (
        _created(file) as descriptor,
        closing(_Beside("model-loader-hash")) as hashing,
        closing(_Beside("model-loader-write")) as writing,
    ):
        try:
            for block in blocks:
                hashing.do(digest.update, block)
                with _translated(file):
                    writing.do(_write_all, descriptor, block)
                size_bytes += len(block)
        finally:  # whatever came after it, a full disk is the reason to tell
            with _translated(file):
                writing.finish()
        hashing.finish()
        return FileEntry(size_bytes, digest.hexdigest())


class _Beside:
    """What is done with each block in turn, from the second block on by a thread of its own, while others are made."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._has_begun = False
        self._pool: ThreadPoolExecutor | None = None
        self._pending: deque[Future[None]] = deque()

    def do(self, work: Callable[..., None], *given: object) -> None:
        """Begins `work`; raises what earlier work raised. Waits while `_MOST_PENDING` blocks are held."""
        if not self._has_begun:  # most files have no other block
            self._has_begun = True
            work(*given)
            return
        while self._pending and (self._pending[0].done() or len(self._pending) >= _MOST_PENDING):
            self._pending.popleft().result()
        self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix=self._name)
        self._pending.append(self._pool.submit(work, *given))

    def finish(self) -> None:
        """Waits until all is done; raises what it raised."""
        while self._pending:
            self._pending.popleft().result()

    def close(self) -> None:
        """Ends the thread; what has not begun is dropped."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


@contextmanager
def _created(file: Path) -> Iterator[int]:
    with _translated(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, _FLAGS, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, block: Piece) -> None:
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
