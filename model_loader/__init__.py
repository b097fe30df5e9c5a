"""Artifacts as files: what a folder holds, how large it is, whether it is what its maker packed, and where it is kept.

Importable alone and generic in what is loaded: knows no ABSA, no HTTP, no torch and no environment variables.
"""

from model_loader.disk_cache import DiskCache
from model_loader.disk_entry import DiskLease
from model_loader.errors import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactInvalid,
    ArtifactMissing,
    CacheBusy,
    CacheError,
    CacheTooSmall,
    DiskFull,
)
from model_loader.folder import ArtifactFolder, open_folder

__all__ = [
    "ArtifactCorrupt",
    "ArtifactError",
    "ArtifactFolder",
    "ArtifactInvalid",
    "ArtifactMissing",
    "CacheBusy",
    "CacheError",
    "CacheTooSmall",
    "DiskCache",
    "DiskFull",
    "DiskLease",
    "open_folder",
]
