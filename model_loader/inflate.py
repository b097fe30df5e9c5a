"""Gzip undone while its bytes arrive, in bounded memory however well they were compressed. Knows no archive format.

By ISA-L, which inflates weights about 1.5 times as fast as zlib: inflating is what bounds the fetch of an archive.
"""

from collections.abc import Iterator
from typing import Protocol

from isal import isal_zlib

from model_loader.errors import ArchiveBroken
from model_loader.pieces import PIECE_BYTES, Piece

_GZIP = 16 + isal_zlib.MAX_WBITS


class Readable(Protocol):
    """What can be read in order: `read` answers at most `size` bytes, and none only at the end."""

    def read(self, size: int) -> Piece:
        """The next bytes."""
        ...


class ByteStream:
    """Blocks of any lengths, read in pieces of any length. `taken_bytes` counts what was read."""

    def __init__(self, blocks: Iterator[Piece]) -> None:
        self._blocks = blocks
        self._current = memoryview(b"")
        self.taken_bytes = 0

    def read(self, size: int) -> Piece:
        """At most `size` bytes, not copied; fewer do not mean the end."""
        while not self._current:
            block = next(self._blocks, None)
            if block is None:
                return b""
            self._current = memoryview(block)
        piece, self._current = self._current[:size], self._current[size:]
        self.taken_bytes += len(piece)
        return piece

    def peek(self, size: int) -> bytes:
        """The next `size` bytes without taking them; fewer at the end."""
        head = bytes(self._current[:size])
        while len(head) < size and (block := next(self._blocks, None)) is not None:
            self._current = memoryview(bytes(self._current) + block)
            head = bytes(self._current[:size])
        return head


class Gunzip:
    """The bytes inside a gzip stream of one or several members. Checks each member's CRC and length (ISA-L does)."""

    def __init__(self, stored: Readable) -> None:
        self._stored = stored
        self._inflater = isal_zlib.decompressobj(_GZIP)
        self._input: Piece = b""
        self._has_member = False

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end. Raises `ArchiveBroken` when the stream is damaged or truncated."""
        while self._has_input():
            try:
                data = self._inflater.decompress(self._input, size)
            except isal_zlib.IsalError as error:  # type: ignore[misc]  # the stub declares an instance, not a class
                raise ArchiveBroken(f"damaged gzip data ({error}); pack it again and upload it again") from error
            self._has_member = True
            self._input = self._inflater.unconsumed_tail
            if self._inflater.eof:
                self._begin_next_member()
            if data:
                return data
        if self._has_member:
            raise ArchiveBroken("truncated: the gzip data ends in the middle; upload it again")
        return b""

    def _has_input(self) -> bool:
        """Whether there is anything left to inflate: input, or output that the inflater still holds."""
        if not self._input:
            self._input = self._stored.read(PIECE_BYTES)
        return bool(self._input)

    def _begin_next_member(self) -> None:
        self._input = self._inflater.unused_data
        self._inflater = isal_zlib.decompressobj(_GZIP)
        self._has_member = False
        # Some tools pad the last member with zeros; gzip itself ignores them.
        while self._has_input() and not (stripped := bytes(self._input).lstrip(b"\0")):
            self._input = stripped
        self._input = bytes(self._input).lstrip(b"\0")
