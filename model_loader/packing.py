"""A folder as a `model.tar.gz`, the counterpart of archive.py: the same files give the same bytes.

Members are plain files at the root, sorted, with one time, owner and mode; the gzip header has neither time nor name.
Other versions of zlib may compress to other bytes.
"""

import gzip
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

# 1980: tools warn of members from 1970.
_MEMBER_TIME = 315_532_800
_LEVEL = 6  # weights hardly compress; 9 takes twice as long for a thousandth
_BLOCK_BYTES = 1 << 20


def write_archive(root: Path, file: Path, *, watch: Callable[[int], None] = lambda _: None) -> int:
    """Writes all plain files below `root` to the new archive `file`, through to the disk; its size in bytes.

    `watch` is told the bytes of each block that was taken. Folders have no members of their own.
    """
    with file.open("xb") as raw:
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=_LEVEL, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in sorted(one.relative_to(root).as_posix() for one in root.rglob("*") if one.is_file()):
                with (root / path).open("rb") as stream:
                    tar.addfile(_member(path, os.fstat(stream.fileno()).st_size), _Watched(stream, watch))
        raw.flush()
        os.fsync(raw.fileno())
        return raw.tell()


def _member(path: str, size_bytes: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.size, member.mtime, member.mode = size_bytes, _MEMBER_TIME, 0o644
    return member


class _Watched:
    """A stream that tells what is read from it."""

    def __init__(self, stream: IO[bytes], watch: Callable[[int], None]) -> None:
        self._stream = stream
        self._watch = watch

    def read(self, size: int = _BLOCK_BYTES) -> bytes:
        data = self._stream.read(size)
        self._watch(len(data))
        return data
