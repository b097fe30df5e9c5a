"""Files written into a folder that is being filled: never over another, never through a link. Knows no artifact."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from model_loader.errors import ArchiveUnsafe, DiskFull
from model_loader.manifest import FileEntry
from model_loader.pieces import Piece

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_CLASHES = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_file(file: Path, blocks: Iterable[Piece]) -> FileEntry:
    """Size and sha256 of the new file that `blocks` make; its folders are made as needed.

    Its mode is 0644 less the umask. Raises `DiskFull`, `ArchiveUnsafe` when a file stands where a folder is needed or
    the other way round, and whatever `blocks` raises.
    """
    digest, size_bytes = hashlib.sha256(), 0
    with _created(file) as descriptor:
        for block in blocks:
            # By this thread, while the block is in its core's cache: another would need a quarter more for it.
            digest.update(block)
            with _translated(file):
                _write_all(descriptor, block)
            size_bytes += len(block)
        return FileEntry(size_bytes, digest.hexdigest())


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
