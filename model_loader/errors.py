"""What can be wrong with an artifact as files, and with the caches that hold it.

    ArtifactError
    ├── ArtifactMissing   nothing lies where the artifact should be
    ├── ArtifactInvalid   it holds something that is never loaded (a link, no files)
    └── ArtifactCorrupt   a file differs from the manifest its maker packed
    CacheError
    ├── CacheTooSmall     larger than the whole budget: it never fits
    ├── CacheBusy         it would fit, but all that could be evicted is in use
    ├── DiskFull          the file system has no room
    └── CacheClosed       the server is stopping

Each message tells the artifact's owner what to change.
"""


class ArtifactError(Exception):
    """Root of the tree."""


class ArtifactMissing(ArtifactError):
    """No such folder, or an empty one."""


class ArtifactInvalid(ArtifactError):
    """The folder holds what no artifact may hold."""


class ArtifactCorrupt(ArtifactError):
    """A file is missing, or its size or checksum is not the one the manifest tells."""


class CacheError(Exception):
    """Root of the caches' tree: never a fault of the artifact."""


class CacheTooSmall(CacheError):
    """The whole budget is smaller than what should be kept."""


class CacheBusy(CacheError):
    """Everything that could make room is leased; another time it may fit."""


class DiskFull(CacheError):
    """The file system has no room, whatever is evicted."""


class CacheClosed(CacheError):
    """Nothing is loaded any more."""
