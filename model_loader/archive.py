"""A tar archive, gzipped or plain, unpacked while it arrives. Knows no store: bytes come in, plain files come out.

What is refused: links, devices, sparse files, paths that are absolute, have `..` or name one file twice, and archives
that are larger than they pretend to be (members, bytes, ratio). Owners, modes and times of members are not kept.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model_loader.disk import write_file
from model_loader.errors import ArchiveBroken, ArchiveUnsafe, ArtifactTooLarge, DiskFull
from model_loader.inflate import ByteStream, Gunzip
from model_loader.manifest import FileEntry
from model_loader.pieces import PIECE_BYTES, Piece
from model_loader.refs import path_problem

_TAR_BLOCK_BYTES = 512
# Bytes that belong to no file: padding and headers of each member, and those that a few long extensions may take.
# tarfile reads extension headers of any length, and lists of sparse files' holes, into memory; this is their bound.
_HEADER_BYTES_A_MEMBER = 4096
_HEADER_BYTES = 2 << 20
_REPACK = "pack the folder again"


@dataclass(frozen=True, slots=True)
class Limits:
    """What an artifact may unpack to.

    `max_bytes` is the caller's room. A ratio (written to received bytes) is a bomb only above `ratio_free_bytes`: small
    text files reach any.
    """

    max_bytes: int
    max_members: int = 10_000
    max_ratio: float = 200.0
    ratio_free_bytes: int = 64 << 20


def unpack(blocks: Iterator[Piece], into: Path, *, uri: str, limits: Limits) -> dict[str, FileEntry]:
    """The files unpacked into the existing folder `into`, by relative POSIX path.

    `blocks` are the stored bytes in order; they are taken to their end, so that whoever hashes them saw all. Raises
    `ArchiveBroken`, `ArchiveUnsafe`, `ArtifactTooLarge`, `DiskFull`, and whatever `blocks` raises.
    """
    stored = ByteStream(blocks)
    try:
        plain = _Plain(Gunzip(stored) if _is_gzip(stored) else stored, stored, limits=limits)
        with tarfile.TarFile(fileobj=plain, mode="r") as tar:  # type: ignore[arg-type]  # tarfile reads and tells
            files = _unpack_members(tar, into, plain, limits)
        plain.drain()
    except (tarfile.TarError, EOFError, RecursionError) as error:
        raise ArchiveBroken(f"{uri}: {_told(error)}; {_REPACK} and upload it again") from error
    except (ArchiveBroken, ArchiveUnsafe, ArtifactTooLarge, DiskFull) as error:
        raise type(error)(f"{uri}: {error}") from error
    if not files:
        raise ArchiveBroken(f"{uri}: the archive holds no files; {_REPACK}")
    return files


def _is_gzip(stored: ByteStream) -> bool:
    """Told by the first bytes, not by the name. Raises `ArchiveBroken` for what is plainly something else."""
    head = stored.peek(4)
    if not head:
        raise ArchiveBroken("expected a tar archive, got an empty object; upload it again")
    if head == b"PK\x03\x04":
        raise ArchiveBroken(f"expected a tar archive, got a ZIP file; {_REPACK} with `tar czf`")
    return head[:2] == b"\x1f\x8b"


def _told(error: Exception) -> str:
    if isinstance(error, EOFError):
        return str(error)
    if isinstance(error, RecursionError):
        return "its headers follow one another without end"
    return f"no readable tar archive ({error})"


class _Plain:
    """The tar's own bytes, counted against the limits: tarfile reads the headers, `_blocks` what is in the files.

    tarfile's own stream copies each of those bytes five times, which was half of a fetch. It never has to seek: it is
    asked for the next header when what is in a file has been taken.
    """

    def __init__(self, inner: "Gunzip | ByteStream", stored: ByteStream, *, limits: Limits) -> None:
        self._inner = inner
        self._stored = stored
        self._limits = limits
        self._taken = 0
        self._allowed = _HEADER_BYTES

    def allow(self, data_bytes: int) -> None:
        """One more member was found, with that much data."""
        self._allowed += data_bytes + _HEADER_BYTES_A_MEMBER

    def tell(self) -> int:
        """Bytes taken so far."""
        return self._taken

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer at the end."""
        data = b""
        while len(data) < size and (more := self.take(size - len(data))):
            data += more
        return data

    def take(self, size: int) -> Piece:
        """At most `size` bytes, and a piece; none at the end. Raises `ArchiveUnsafe` for more than members explain."""
        data = self._inner.read(min(size, PIECE_BYTES))
        self._taken += len(data)
        if self._taken > self._allowed:
            raise ArchiveUnsafe(f"more than {self._allowed:,} bytes that belong to none of its files; {_REPACK}")
        received = self._stored.taken_bytes
        if self._taken > max(self._limits.ratio_free_bytes, received * self._limits.max_ratio):
            raise ArchiveUnsafe(
                f"{received:,} bytes unpack to more than {self._taken:,}, over {self._limits.max_ratio:g} to 1, as "
                "only an archive made to fill disks does; it is not unpacked"
            )
        return data

    def drain(self) -> None:
        """Read what follows the last member: padding, and the checksum at the end of a gzip stream."""
        while self.take(PIECE_BYTES):
            pass


def _unpack_members(tar: tarfile.TarFile, into: Path, plain: _Plain, limits: Limits) -> dict[str, FileEntry]:
    files: dict[str, FileEntry] = {}
    total_bytes = 0
    for number, member in enumerate(tar, start=1):
        if number > limits.max_members:
            raise ArchiveUnsafe(f"more than {limits.max_members:,} members; {_REPACK} without what is no model file")
        path = _checked_path(member)
        if member.isdir():
            plain.allow(0)
            continue
        total_bytes += member.size
        if total_bytes > limits.max_bytes:
            raise ArtifactTooLarge(
                f"unpacks to more than {total_bytes:,} bytes, {limits.max_bytes:,} are there for it; "
                "raise the budget, or serve a smaller model"
            )
        plain.allow(member.size)
        if path in files:
            raise ArchiveUnsafe(f"{path} is in the archive twice; {_REPACK}")
        files[path] = write_file(into / path, _blocks(plain, member.size))
    return files


def _checked_path(member: tarfile.TarInfo) -> str:
    """Where a member goes, relative to the target. Raises `ArchiveUnsafe` for whatever is no plain file or folder."""
    shown = repr(member.name[:200])
    if member.issym() or member.islnk():
        raise ArchiveUnsafe(f"{shown} is a link, which SageMaker does not unpack either; {_REPACK} with `tar czhf`")
    if not (member.isreg() or member.isdir()) or member.issparse() or member.size < 0:
        raise ArchiveUnsafe(f"{shown} is neither a plain file nor a folder; {_REPACK} without it")
    path = member.name
    while path.startswith("./"):
        path = path[2:]
    if member.isdir() and path in {"", "."}:
        return ""
    if problem := path_problem(path.rstrip("/") if member.isdir() else path):
        raise ArchiveUnsafe(f"{shown} is no path that is unpacked ({problem}); {_REPACK} with relative paths")
    return path


def _blocks(plain: _Plain, size: int) -> Iterator[Piece]:
    """A member's data, and the padding behind it taken. Raises `tarfile.ReadError` when it ends early."""
    left = size
    while left:
        block = plain.take(left)
        if not block:
            raise tarfile.ReadError("unexpected end of data")
        left -= len(block)
        yield block
    plain.read(-size % _TAR_BLOCK_BYTES)
