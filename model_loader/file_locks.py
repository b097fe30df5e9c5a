"""Advisory locks on files (flock), shared by threads and processes alike. Knows no cache.

A lock belongs to the open file, so two threads that open the same path exclude each other as two processes do, and
the kernel releases whatever a killed process held. Never fork without exec while holding one: the child shares it.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class FileLock:
    """An open file and the lock on it; `close` gives both back. Not to be shared between threads."""

    def __init__(self, fd: int, path: Path) -> None:
        self._fd = fd
        self._path = path

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> Self:
        """The file, not yet locked. Raises `FileNotFoundError` unless `create`."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return cls(os.open(path, flags, 0o644), path)

    def lock(self, *, exclusive: bool) -> None:
        """Waits until the lock is ours."""
        fcntl.flock(self._fd, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)

    def try_lock(self, *, exclusive: bool) -> bool:
        """Whether the lock is ours now; never waits."""
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_current(self) -> bool:
        """Whether the path still names this file: another may have deleted or replaced it while we waited."""
        mine = os.fstat(self._fd)
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)

    def close(self) -> None:
        """Releases the lock. Calling it again does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lock_exclusively(path: Path) -> FileLock:
    """The lock file at `path`, made if need be, once nobody else holds it."""
    while True:
        held = FileLock.open(path, create=True)
        held.lock(exclusive=True)
        if held.is_current():
            return held
        held.close()  # its last holder deleted the file while we waited for it
