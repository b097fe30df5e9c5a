"""A folder as a `model.tar.gz`, the counterpart of archive.py: the same files give the same bytes.

Tar members are plain files at the root, sorted, with one time, owner and mode; gzip headers have neither time nor name.
Other versions of zlib may compress to other bytes.
"""

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# 1980: tools warn of members from 1970.
_MEMBER_TIME = 315_532_800
# 9 takes twice as long for a thousandth.
_LEVEL, _STORED = 6, 0
# Weights of all their bits lose 7 % by compression and are inflated at 280 MB/s a core, which would be the speed of
# every cold load; stored as they are they pass at 1,900. Those that were half as wide once lose 40 %, and are worth it.
_LEAST_GAIN = 0.15
_SAMPLE_BYTES = 1 << 18
_BLOCK_BYTES = 1 << 20


def write_archive(root: Path, file: Path, *, watch: Callable[[int], None] = lambda _: None) -> int:
    """Writes all plain files below `root` to the new archive `file`, through to the disk; its size in bytes.

    `watch` is told the bytes of each block that was taken. Folders have no members of their own.
    """
    with file.open("xb") as raw:
        with _Gzip(raw) as zipped, tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for path in sorted(one.relative_to(root).as_posix() for one in root.rglob("*") if one.is_file()):
                with (root / path).open("rb") as stream:
                    size = os.fstat(stream.fileno()).st_size
                    zipped.level = _level(stream, size)
                    tar.addfile(_member(path, size), _Watched(stream, watch))
        raw.flush()
        os.fsync(raw.fileno())
        return raw.tell()


def _level(stream: IO[bytes], size: int) -> int:
    """How hard a file is compressed: not at all where the middle of a large one says that it would gain little."""
    if size < _BLOCK_BYTES:
        return _LEVEL
    stream.seek(size // 2)
    sample = stream.read(_SAMPLE_BYTES)
    stream.seek(0)
    return _LEVEL if len(zlib.compress(sample, _LEVEL)) <= (1 - _LEAST_GAIN) * len(sample) else _STORED


class _Gzip(io.BufferedIOBase):
    """Gzip members one after the other, which together are one stream: each as long as `level` stays the same.

    What tarfile holds back of a file is compressed like the next one; that is a few KB.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__()
        self._raw = raw
        self._current: gzip.GzipFile | None = None
        self._current_level = self.level = _LEVEL

    def write(self, data: "ReadableBuffer") -> int:
        """Takes the next bytes of the tar."""
        if self._current is None or self._current_level != self.level:
            self._end()
            self._current_level = self.level
            self._current = gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, compresslevel=self.level, mtime=0)
        return self._current.write(data)

    def close(self) -> None:
        """Ends the last member; the file below stays open."""
        self._end()
        super().close()

    def _end(self) -> None:
        if self._current is not None:
            self._current.close()
            self._current = None


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
