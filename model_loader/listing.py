"""The files of a stored folder as one version: a hash that changes when any of them does, and what is refused in it."""

import hashlib
from collections.abc import Sequence

from model_loader.archive import Limits
from model_loader.errors import ArtifactInvalid, ArtifactTooLarge
from model_loader.refs import path_problem
from model_loader.sources import StoredFile, Version


def listing_token(files: Sequence[StoredFile]) -> str:
    """A hash of all paths, sizes and tags, whatever their order."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path):
        digest.update(f"{file.path}\0{file.size_bytes}\0{file.tag}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def check_listing(version: Version, limits: Limits) -> None:
    """Refuse before anything is transferred what could not be kept.

    Raises `ArtifactTooLarge`, and `ArtifactInvalid` for too many files or a path that is never written.
    """
    if version.size_bytes > limits.max_bytes:
        raise ArtifactTooLarge(
            f"{version.uri} has {version.size_bytes:,} bytes, {limits.max_bytes:,} are there for it; "
            "raise the budget, or serve a smaller model"
        )
    if len(version.files) > limits.max_members:
        raise ArtifactInvalid(f"{version.uri} has more than {limits.max_members:,} files; remove what is no model file")
    for file in version.files:
        if problem := path_problem(file.path):
            raise ArtifactInvalid(
                f"{version.uri}: {file.path[:200]!r} is no path that is written ({problem}); rename it"
            )
