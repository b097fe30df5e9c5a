"""Artifacts as files: what a folder holds, how large it is, and whether it is what its maker packed.

Importable alone and generic in what is loaded: knows no ABSA, no HTTP, no torch and no environment variables.
"""

from model_loader.errors import ArtifactCorrupt, ArtifactError, ArtifactInvalid, ArtifactMissing
from model_loader.folder import ArtifactFolder, open_folder

__all__ = ["ArtifactCorrupt", "ArtifactError", "ArtifactFolder", "ArtifactInvalid", "ArtifactMissing", "open_folder"]
