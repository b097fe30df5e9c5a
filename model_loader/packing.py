"""A folder as a `model.tar.gz`, the counterpart of archive.py: the same files give the same bytes.

Tar members are plain files at the root, sorted, with one time, owner and mode; gzip headers have neither time nor name.
Other versions of zlib may compress to other bytes.
"""

import io
import os
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Deflate, no name, no time, no hint of how hard it was compressed, no system.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
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
    """One gzip member whose compression changes with `level` (RFC 1952, as pigz joins what it compressed apart).

    Where the level changes, the deflate stream is flushed to a whole byte and goes on in a new compressor, which never
    looks back. Python's zlib cannot change the level of one. A stream of several members would be legal, too, but
    readers that do not seek (tarfile's own `r|gz` among them) end with the first. What tarfile holds back of a file is
    compressed like the next one; that is a few KB.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__()
        self._raw = raw
        self._current_level = self.level = _LEVEL
        self._deflate = _deflate(self.level)
        self._crc, self._size = 0, 0
        self._is_ended = False
        raw.write(_GZIP_HEADER)

    def write(self, data: "ReadableBuffer") -> int:
        """Takes the next bytes of the tar."""
        if self._current_level != self.level:
            self._raw.write(self._deflate.flush(zlib.Z_FULL_FLUSH))
            self._current_level = self.level
            self._deflate = _deflate(self.level)
        size = len(memoryview(data).cast("B"))
        self._crc, self._size = zlib.crc32(data, self._crc), self._size + size
        self._raw.write(self._deflate.compress(data))
        return size

    def close(self) -> None:
        """Ends the member; the file below stays open."""
        if not self._is_ended:
            self._is_ended = True
            self._raw.write(self._deflate.flush() + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))
        super().close()


def _deflate(level: int) -> "zlib._Compress":
    return zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)


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
