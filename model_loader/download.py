"""A name's present content brought into a folder, begun anew when it is replaced meanwhile. Knows only the protocol."""

import shutil
from pathlib import Path

from model_loader.archive import Limits
from model_loader.deadlines import Deadline
from model_loader.errors import ArtifactReplaced, StoreUnavailable
from model_loader.sources import Fetched, Source, Version

# Whoever replaces an object more often than this during one download has to be told, not followed.
_TRIES = 4


def fetch_current(
    source: Source, version: Version, into: Path, *, limits: Limits, deadline: Deadline
) -> tuple[Version, Fetched]:
    """The version that was written into the empty folder `into`, and its files: `version`, or what took its place.

    Two versions are never mixed: before each new begin the folder is emptied. When it raises, `into` may hold files
    and is the caller's to delete. Raises what `Source.fetch` raises, but `StoreUnavailable` for `ArtifactReplaced`.
    """
    for _ in range(_TRIES):
        try:
            return version, source.fetch(version, into, limits=limits, deadline=deadline)
        except ArtifactReplaced:
            _empty(into)
            version = source.resolve(version.name, deadline=deadline)
    raise StoreUnavailable(f"{version.uri} was replaced {_TRIES} times while it was fetched; finish the upload first")


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
