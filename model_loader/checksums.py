"""Checksums that a store keeps of whole objects: which of them can be recomputed here, and how. Knows no store.

Not recomputed, because nothing installed does it at speed: CRC32C, CRC64NVME, XXHASH. Objects that have only those are
verified by size, by the archive's own CRC and by the manifest.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from model_loader.errors import ArtifactCorrupt
from model_loader.pieces import Piece


class _Hash(Protocol):
    def update(self, data: Piece, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc32:
    """CRC-32 with the interface of hashlib."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: Piece, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def _hash(algorithm: str) -> _Hash:
    if algorithm == "crc32":
        return _Crc32()
    return hashlib.new(algorithm, usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class Checksum:
    """The digest that whoever stored an object claims for all its bytes; by `crc32` or an algorithm of hashlib."""

    algorithm: str
    digest: bytes

    def __str__(self) -> str:
        return f"{self.algorithm} {base64.b64encode(self.digest).decode()}"


class Verifier:
    """Takes an object's bytes in order, and says at the end whether they are the ones that were stored."""

    def __init__(self, expected: Checksum | None) -> None:
        self._expected = expected
        self._hash = _hash(expected.algorithm) if expected else None

    def update(self, data: Piece) -> None:
        """The next bytes."""
        if self._hash is not None:
            self._hash.update(data)

    def watch(self, blocks: Iterable[Piece]) -> Iterator[Piece]:
        """`blocks` as they are, each taken into account on its way."""
        for block in blocks:
            self.update(block)
            yield block

    def check(self, uri: str) -> None:
        """Raises `ArtifactCorrupt` when all bytes together are not the ones that were stored at `uri`."""
        if self._expected is None or self._hash is None:
            return
        found = Checksum(self._expected.algorithm, self._hash.digest())
        if found != self._expected:
            raise ArtifactCorrupt(f"{uri}: its store says {self._expected}, what came has {found}; upload it again")
