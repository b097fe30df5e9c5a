"""Where compiled networks are kept: what the engines ask of a cache of folders. `model_loader.DiskCache` is one."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class FolderLease(Protocol):
    """The right to read `path` until `release`."""

    @property
    def path(self) -> Path:
        """The complete folder."""

    def release(self) -> None:
        """Lets the folder be deleted; files that are still open or mapped stay readable."""


class FolderCache(Protocol):
    """Complete folders by key, filled once."""

    def lease(self, key: str, fill: Callable[[Path], None]) -> FolderLease:
        """The folder of `key`; where it is missing, `fill(empty folder)` makes it first. Raises what `fill` raises."""


@dataclass(frozen=True, slots=True)
class TemporaryFolder:
    """A folder of its own that is deleted on release."""

    path: Path

    def release(self) -> None:
        """See `FolderLease`."""
        shutil.rmtree(self.path, ignore_errors=True)


class NoCache:
    """Makes every folder anew, in the folder for temporary files."""

    def lease(self, key: str, fill: Callable[[Path], None]) -> TemporaryFolder:  # noqa: ARG002  as the protocol has it
        """See `FolderCache`."""
        folder = TemporaryFolder(Path(tempfile.mkdtemp(prefix="absa-network-")))
        try:
            fill(folder.path)
        except BaseException:
            folder.release()
            raise
        return folder
