"""What can be wrong with an artifact as files.

    ArtifactError
    ├── ArtifactMissing   nothing lies where the artifact should be
    ├── ArtifactInvalid   it holds something that is never loaded (a link, no files)
    └── ArtifactCorrupt   a file differs from the manifest its maker packed

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
