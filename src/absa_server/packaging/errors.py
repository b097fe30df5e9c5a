"""What can be wrong with packing and uploading, beyond what the server itself would refuse.

    PackagingError
    ├── InvalidInputs       the folders, files or options that were given do not fit together
    ├── UnfitNetwork        int8 costs more in answers than was allowed
    ├── MeasurementFailed   the process that measures, or quantizes, ended without an answer
    └── UploadRefused       something lies there already, or the store keeps no word of what it took

What the server would refuse is told in its own words: `absa_server.errors.InvalidModel`, `model_loader.ArtifactError`.
"""


class PackagingError(Exception):
    """Root of the tree. The message says what to change."""


class InvalidInputs(PackagingError):
    """Nothing was written."""


class UnfitNetwork(PackagingError):
    """The message has the figures. Nothing was written."""


class MeasurementFailed(PackagingError):
    """The message ends with what the process wrote last."""


class UploadRefused(PackagingError):
    """The store is as it was."""
