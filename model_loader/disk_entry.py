"""One complete entry of the disk cache: a folder of content, and the record of what was put there.

The record tells what the content must still be when the entry is used again; its modification time is the entry's
last use, and the lock on it is the entry's lease. Knows no budget and no order.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from model_loader.file_locks import FileLock

CONTENT = "content"
RECORD = "entry.json"
_VERSION = 1
_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's own block is


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """What was cached: its key, the bytes it takes on disk, and each file's size by relative POSIX path."""

    key: str
    disk_bytes: int
    files: dict[str, int]
    version: int = _VERSION


class DiskLease:
    """The right to read `path` until `release`; meanwhile no process evicts it. Any thread may release, repeatedly."""

    def __init__(self, key: str, path: Path, held: FileLock) -> None:
        self.key = key
        self.path = path
        self._held = held

    def release(self) -> None:
        """Lets the entry be evicted; files that are still open or mapped stay readable."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def record_of(folder: Path, key: str) -> EntryRecord:
    """The record of what `folder`'s content is now."""
    content = folder / CONTENT
    return EntryRecord(key, disk_bytes(content), dict(_files(content)))


def write_record(folder: Path, record: EntryRecord) -> None:
    """Writes into the record file that is already there, whose lock therefore stays."""
    (folder / RECORD).write_text(json.dumps(asdict(record)), encoding="utf-8")


def read_record(folder: Path) -> EntryRecord | None:
    """The record, or None where there is none of this version."""
    try:
        record = EntryRecord(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    is_ours = record.version == _VERSION and isinstance(record.disk_bytes, int) and isinstance(record.files, dict)
    return record if is_ours else None


def is_intact(folder: Path, record: EntryRecord) -> bool:
    """Whether the content holds exactly the recorded files, each with its size. Contents are not read again."""
    try:
        return dict(_files(folder / CONTENT)) == record.files
    except OSError:
        return False


def last_use(folder: Path) -> float:
    """Seconds since the epoch; 0 for an entry that is gone."""
    try:
        return (folder / RECORD).stat().st_mtime
    except OSError:
        return 0.0


def touch(folder: Path, now_s: float) -> None:
    """Notes a use."""
    with suppress(FileNotFoundError):  # discarded as damaged by another this moment
        os.utime(folder / RECORD, (now_s, now_s))


def disk_bytes(folder: Path) -> int:
    """Bytes of disk that a folder takes: blocks, not the lengths of the files."""
    return sum(path.lstat().st_blocks * _BLOCK_BYTES for path in (folder, *folder.rglob("*")))


def _files(content: Path) -> Iterator[tuple[str, int]]:
    for parent, folders, names in os.walk(content, onerror=_raise):
        here = Path(parent)
        for name in names:
            yield (here / name).relative_to(content).as_posix(), (here / name).lstat().st_size
        folders.sort()


def _raise(error: OSError) -> None:
    raise error
