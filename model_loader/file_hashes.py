"""Digests of files, and those remembered of files that nobody has written to since. Knows no artifact."""

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from io import FileIO
from pathlib import Path

# Clocks of file systems tick in steps, of 2 s at worst: what was written a moment ago could be written again and look
# the same. git calls such files racy, and reads them again.
_RACY_S = 2.5
# Those of some two hundred models on a disk, in a MB. What was evicted and fetched again is another file.
_MOST_FILES = 2_000

# Device, inode, size, times of the last write and of the last change of any kind.
_Identity = tuple[int, int, int, int, int]


def sha256_of(file: Path) -> str:
    """Hex digest of a file's bytes, read piece by piece into one buffer."""
    with file.open("rb", buffering=0) as stream:
        return _digest(stream)


class FileHashes:
    """sha256 by the identity of files. Thread-safe. What a disk returns otherwise than it was written is not noticed.

    `clock` tells seconds since the epoch, as times of files do.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[_Identity, str] = OrderedDict()

    def sha256_of(self, file: Path) -> str:
        """Hex digest of a file's bytes, which are read unless they were since they were last written."""
        asked_s = self._clock()
        with file.open("rb", buffering=0) as stream:
            identity = _identity(stream)
            with self._lock:
                if identity in self._known:
                    self._known.move_to_end(identity)
                    return self._known[identity]
            digest = _digest(stream)
            is_settled = max(identity[-2:]) / 1e9 + _RACY_S < asked_s
            if is_settled and _identity(stream) == identity:
                self._remember(identity, digest)
            return digest

    def _remember(self, identity: _Identity, digest: str) -> None:
        with self._lock:
            self._known[identity] = digest
            if len(self._known) > _MOST_FILES:
                self._known.popitem(last=False)


def _digest(stream: FileIO) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()


def _identity(stream: FileIO) -> _Identity:
    """Of the file that is read, whatever its path leads to by now."""
    status = os.fstat(stream.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
