"""What can be wrong with an artifact, with the store it lies in, and with the caches that hold it.

    ArtifactError
    ├── NameInvalid          the name is none that a store could hold
    ├── ArtifactMissing      nothing lies where the artifact should be
    ├── ArtifactInvalid      it holds something that is never loaded (a link, no files)
    │   ├── ArchiveBroken    empty, truncated, damaged, or no tar archive at all
    │   └── ArchiveUnsafe    its members would leave the folder, are no plain files, or are a bomb
    ├── ArtifactCorrupt      its bytes differ from the checksum of the store, or from its maker's manifest
    ├── ArtifactReplaced     it changed while it was being fetched; what was fetched is thrown away
    ├── ArtifactTooLarge     it does not fit into the bytes that are there for it
    ├── DiskFull             the disk took no more
    ├── StoreRefused         the store answered, and will not give it: permission, credentials, region
    ├── StoreUnavailable     the store did not answer, or asked to come back later
    └── DeadlineExceeded     it would have come too late
    CacheError
    ├── CacheTooSmall        larger than the whole budget: it never fits
    ├── CacheBusy            it would fit, but all that could be evicted is in use
    └── CacheClosed          the server is stopping

Each message tells the artifact's owner, or the store's, what to change.
"""


class ArtifactError(Exception):
    """Root of the tree."""


class NameInvalid(ArtifactError):
    """The caller's name of a model breaks the rules for names. Nothing was looked up."""


class ArtifactMissing(ArtifactError):
    """No such folder or object, or an empty folder."""


class ArtifactInvalid(ArtifactError):
    """The artifact holds what no artifact may hold."""


class ArchiveBroken(ArtifactInvalid):
    """The bytes came as they are stored, and are no readable archive: packing or uploading went wrong."""


class ArchiveUnsafe(ArtifactInvalid):
    """The archive can be read, and one of its members must not be unpacked. Nothing of it is kept."""


class ArtifactCorrupt(ArtifactError):
    """A file is missing, or its size or checksum is not the one that the manifest or the store tells."""


class ArtifactReplaced(ArtifactError):
    """The pinned version is gone. Resolving the name again finds what took its place."""


class ArtifactTooLarge(ArtifactError):
    """More bytes than the caller allowed; waiting or trying again does not help."""


class DiskFull(ArtifactError):
    """Writing failed for want of space (or of quota, or of inodes)."""


class StoreRefused(ArtifactError):
    """The store's answer is no. The message names the bucket and the action that must be allowed."""


class StoreUnavailable(ArtifactError):
    """Every attempt failed in a way that may pass. `retry_after_s` is a guess at when."""

    def __init__(self, message: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(ArtifactError):
    """The deadline of the whole operation passed, or its caller cancelled it."""


class CacheError(Exception):
    """Root of the caches' tree: never a fault of the artifact."""


class CacheTooSmall(CacheError):
    """The whole budget is smaller than what should be kept."""


class CacheBusy(CacheError):
    """Everything that could make room is leased; another time it may fit."""


class CacheClosed(CacheError):
    """Nothing is loaded any more."""
