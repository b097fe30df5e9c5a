"""The spool: answers as lines in files on disk, in the order they came, until somebody has taken them away.

A line is in the operating system's hands when `append` returns, so it survives the process by any signal, though not
the instance. Files are bounded by size and age; the sum of them by the spool's own limit. Knows no S3 and no answers.

    open-<id>.jsonl     being written by the process that holds its lock
    <id>.jsonl          complete; the id's first part is the UTC hour of its lines

A process that starts takes over whatever others left behind, but for a file whose lock a living process holds.
"""

import fcntl
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_OPEN = "open-"
_SUFFIX = ".jsonl"
_HOUR = "%Y%m%dT%H"


class SpoolFull(Exception):
    """The lines do not fit; nothing of them was written."""


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """`file_bytes` and `file_age_s` close a file, whichever comes first; `total_bytes` bounds all files together."""

    total_bytes: int
    file_bytes: int = 8 << 20
    file_age_s: float = 60.0


@dataclass(slots=True)
class _OpenFile:
    path: Path
    descriptor: int
    hour: str
    opened: float
    size: int = 0


@dataclass(slots=True)
class _Entry:
    size: int
    lines: int


@dataclass(slots=True)
class Spool:
    """Thread-safe. `clock` gives Unix time; one process at a time writes to each of the folder's files."""

    folder: Path
    limits: SpoolLimits
    clock: Callable[[], float] = time.time
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: _OpenFile | None = None
    _complete: dict[Path, _Entry] = field(default_factory=dict)
    _open_lines: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in sorted(self.folder.glob(f"{_OPEN}*{_SUFFIX}")):
            _adopt(left)
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            if not path.name.startswith(_OPEN):
                self._complete[path] = _Entry(path.stat().st_size, path.read_bytes().count(b"\n"))

    @property
    def pending_bytes(self) -> int:
        """Bytes that nobody has taken away yet."""
        with self._lock:
            return self._pending_bytes()

    @property
    def pending_lines(self) -> int:
        """Lines that nobody has taken away yet."""
        with self._lock:
            return self._open_lines + sum(entry.lines for entry in self._complete.values())

    def append(self, lines: Sequence[bytes]) -> None:
        """Writes the lines, each ending in a newline, in one piece. Raises `SpoolFull`, and `OSError` of the disk."""
        piece = b"".join(lines)
        with self._lock:
            if self._pending_bytes() + len(piece) > self.limits.total_bytes:
                raise SpoolFull
            file = self._file_for(len(piece))
            _write(file, piece)
            self._open_lines += len(lines)

    def complete_files(self, *, close_open: bool = False) -> list[Path]:
        """The files that can be taken away, oldest first; with `close_open` also the one being written."""
        with self._lock:
            if self._open is not None and (close_open or self._is_due(self._open, 0)):
                self._close_file()
            return sorted(self._complete)

    def remove(self, path: Path) -> None:
        """The file has been taken away."""
        with self._lock:
            path.unlink(missing_ok=True)
            self._complete.pop(path, None)

    def close(self) -> None:
        """Completes the file being written; what is in the folder waits for the next process."""
        with self._lock:
            if self._open is not None:
                self._close_file()

    def _pending_bytes(self) -> int:
        return (self._open.size if self._open else 0) + sum(entry.size for entry in self._complete.values())

    def _file_for(self, more_bytes: int) -> _OpenFile:
        if self._open is not None and self._is_due(self._open, more_bytes):
            self._close_file()
        if self._open is None:
            self._open = self._new_file()
        return self._open

    def _is_due(self, file: _OpenFile, more_bytes: int) -> bool:
        """Full, old, or of another hour than the lines that come: a file's lines share one partition."""
        now = self.clock()
        is_full = file.size > 0 and file.size + more_bytes > self.limits.file_bytes
        return is_full or now - file.opened >= self.limits.file_age_s or _hour(now) != file.hour

    def _new_file(self) -> _OpenFile:
        now = self.clock()
        path = self.folder / f"{_OPEN}{_hour(now)}-{uuid.uuid4().hex}{_SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _OpenFile(path, descriptor, _hour(now), now)

    def _close_file(self) -> None:
        if self._open is None:
            return
        file, self._open = self._open, None
        path = _completed(file.path)
        file.path.rename(path)
        os.close(file.descriptor)
        self._complete[path] = _Entry(file.size, self._open_lines)
        self._open_lines = 0


def hour_of(path: Path) -> str:
    """The UTC hour of a complete file's lines, as `20261124T17`."""
    return path.name.partition("-")[0]


def _hour(now: float) -> str:
    return time.strftime(_HOUR, time.gmtime(now))


def _completed(path: Path) -> Path:
    return path.with_name(path.name.removeprefix(_OPEN))


def _write(file: _OpenFile, piece: bytes) -> None:
    """All of the piece or nothing of it: what a full disk cut off is cut away again."""
    view, size = memoryview(piece), file.size
    try:
        while view:
            view = view[os.write(file.descriptor, view) :]
    except OSError:
        os.ftruncate(file.descriptor, size)
        raise
    file.size += len(piece)


def _adopt(path: Path) -> None:
    """Completes a file whose writer is dead. Its last line may be half: that answer was never sent."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # its writer lives
        os.close(descriptor)
        return
    try:
        whole = path.read_bytes().rfind(b"\n") + 1
        os.ftruncate(descriptor, whole)
        if whole:
            path.rename(_completed(path))
        else:
            path.unlink()
    finally:
        os.close(descriptor)
