"""Files written into a folder that is being filled: never over another, never through a link. Knows no artifact."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from model_loader.errors import ArchiveUnsafe, DiskFull
from model_loader.manifest import FileEntry
from model_loader.pieces import Piece

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_CLASHES = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
# Taken ahead at a time, and no more than was written: a small file shall not take much, which on tmpfs is memory.
# Higher: fewer calls. Four fetches at a time stay well below the free space that the disk cache leaves.
_MOST_ROOM_BYTES = 32 << 20
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_file(file: Path, blocks: Iterable[Piece]) -> FileEntry:
    """Size and sha256 of the new file that `blocks` make; its folders are made as needed.

    Its mode is 0644 less the umask. Raises `DiskFull`, `ArchiveUnsafe` when a file stands where a folder is needed or
    the other way round, and whatever `blocks` raises.
    """
    digest = hashlib.sha256()
    with _created(file) as descriptor, closing(_Target(descriptor)) as target:
        for block in blocks:
            # By this thread, while the block is in its core's cache: another would need a quarter more for it.
            digest.update(block)
            with _translated(file):
                target.write(block)
        return FileEntry(target.size_bytes, digest.hexdigest())


class _Target:
    """A file that grows: it is given room ahead of what is written, which takes the kernel half the time then."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._room_bytes = 0
        self.size_bytes = 0

    def write(self, block: Piece) -> None:
        """All of `block`, at the end."""
        if self.size_bytes and self.size_bytes + len(block) > self._room_bytes:  # most files have no other block
            self._take_room()
        view = memoryview(block)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self.size_bytes += len(block)

    def close(self) -> None:
        """Give back the room that was not needed."""
        if self._room_bytes:
            os.ftruncate(self._descriptor, self.size_bytes)

    def _take_room(self) -> None:
        # What a disk has no room for is found when it is written; a file system that cannot reserve any has the C
        # library write a byte to each block, and some systems have no such call.
        room_bytes = min(self.size_bytes, _MOST_ROOM_BYTES)
        self._room_bytes = self.size_bytes + room_bytes
        with suppress(OSError, AttributeError):
            os.posix_fallocate(self._descriptor, self.size_bytes, room_bytes)


@contextmanager
def _created(file: Path) -> Iterator[int]:
    with _translated(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, _FLAGS, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


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
