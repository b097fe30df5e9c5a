"""Artifacts: found in a store, brought here whole and verified, kept on disk and in memory within budgets.

Importable alone and generic in what is loaded: knows no ABSA, no HTTP, no torch and no environment variables.
"""

from model_loader.archive import Limits
from model_loader.deadlines import Deadline
from model_loader.directory_source import DirectorySource
from model_loader.disk_cache import DiskCache
from model_loader.disk_entry import DiskLease
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
    CacheBusy,
    CacheClosed,
    CacheError,
    CacheTooSmall,
    DeadlineExceeded,
    DiskFull,
    NameInvalid,
    StoreRefused,
    StoreUnavailable,
)
from model_loader.folder import ArtifactFolder, open_folder
from model_loader.loader import Loader
from model_loader.memory_cache import MemoryCache
from model_loader.memory_entry import Footprint, MemoryLease, abandon
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
    "CacheBusy",
    "CacheClosed",
    "CacheError",
    "CacheTooSmall",
    "Deadline",
    "DeadlineExceeded",
    "DirectorySource",
    "DiskCache",
    "DiskFull",
    "DiskLease",
    "FetchStats",
    "Fetched",
    "Footprint",
    "Limits",
    "Loader",
    "MemoryCache",
    "MemoryLease",
    "ModelRef",
    "NameInvalid",
    "Source",
    "StoreRefused",
    "StoreUnavailable",
    "StoredFile",
    "Version",
    "abandon",
    "fetch_current",
    "open_folder",
]
