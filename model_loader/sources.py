"""The places that artifacts come from, as one protocol: find a name's present version, bring exactly that version.

Knows no store in particular, and nothing of caches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from model_loader.archive import Limits
from model_loader.checksums import Checksum
from model_loader.deadlines import Deadline
from model_loader.manifest import FileEntry
from model_loader.refs import Kind


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One object or file of a version. `path` is relative to the model, or the archive's own name.

    `tag` changes whenever the content does: an ETag, or a file's times and number. `checksum` is of the whole content.
    """

    path: str
    size_bytes: int
    tag: str
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One content of one name, pinned: `fetch` brings this, or raises.

    `uri` and `token` together identify the content: equal ones are the same bytes, in this process and any later one.
    `size_bytes` is what is transferred, which for an archive is less than what is written.
    """

    name: str
    uri: str
    kind: Kind
    token: str
    size_bytes: int
    files: tuple[StoredFile, ...]


@dataclass(frozen=True, slots=True)
class FetchStats:
    """What one fetch took."""

    received_bytes: int
    written_bytes: int
    seconds: float
    requests: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files that were written: relative POSIX path -> size and sha256, taken from the bytes on their way."""

    files: Mapping[str, FileEntry]
    stats: FetchStats


class Source(Protocol):
    """A store of artifacts. Safe for concurrent calls from any threads, none of which changes what another brings."""

    def resolve(self, name: str, *, deadline: Deadline) -> Version:
        """The version of `name` that the store holds now; cheap enough to be asked whether a version is still current.

        Raises `NameInvalid`, `ArtifactMissing`, `ArtifactInvalid`, `StoreRefused`, `StoreUnavailable`,
        `DeadlineExceeded`.
        """
        ...

    def fetch(self, version: Version, into: Path, *, limits: Limits, deadline: Deadline) -> Fetched:
        """Write the files of `version` into the existing empty folder `into`, verified by every checksum there is.

        When it raises, `into` holds part of the files, and is the caller's to delete. Raises any `ArtifactError`:
        `ArtifactReplaced` when the store does not hold this version any more.
        """
        ...
