"""Artifacts: found in a store, brought here whole and verified, opened as files.

Importable alone and generic in what is loaded: knows no ABSA, no HTTP, no torch and no environment variables.
"""

from model_loader.archive import Limits
from model_loader.deadlines import Deadline
from model_loader.directory_source import DirectorySource
from model_loader.download import fetch_current
from model_loader.errors import (
    ArchiveBroken,
    ArchiveUnsafe,
    ArtifactCorrupt,
    ArtifactError,
    ArtifactInvalid,
    ArtifactMissing,
    ArtifactReplaced,
    ArtifactTooLarge,
    DeadlineExceeded,
    DiskFull,
    NameInvalid,
    StoreRefused,
    StoreUnavailable,
)
from model_loader.folder import ArtifactFolder, open_folder
from model_loader.refs import ModelRef
from model_loader.sources import Fetched, FetchStats, Source, StoredFile, Version

__all__ = [
    "ArchiveBroken",
    "ArchiveUnsafe",
    "ArtifactCorrupt",
    "ArtifactError",
    "ArtifactFolder",
    "ArtifactInvalid",
    "ArtifactMissing",
    "ArtifactReplaced",
    "ArtifactTooLarge",
    "Deadline",
    "DeadlineExceeded",
    "DirectorySource",
    "DiskFull",
    "FetchStats",
    "Fetched",
    "Limits",
    "ModelRef",
    "NameInvalid",
    "Source",
    "StoreRefused",
    "StoreUnavailable",
    "StoredFile",
    "Version",
    "fetch_current",
    "open_folder",
]
