"""Compiled networks kept on disk. A shortage of room costs time, never the model. Knows no engine."""

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from absa_server.engines.folder_cache import FolderLease, NoCache
from model_loader import CacheError, DiskCache

logger = logging.getLogger(__name__)

_FOLDER = "networks"
_MOUNTS = Path("/proc/self/mounts")


class EngineCache:
    """`engines.folder_cache.FolderCache` in `root`, shared by threads and processes; opened by the first lease."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._opened: DiskCache | None = None

    def lease(self, key: str, fill: Callable[[Path], None]) -> FolderLease:
        """See `FolderCache`. Where nothing can be kept, the folder is made for this once, with a warning."""
        try:
            return self._cache().lease(key, fill)
        except (CacheError, OSError) as error:
            logger.warning("engine_cache_unavailable", extra={"folder": str(self._root), "reason": str(error)})
            return NoCache().lease(key, fill)

    def _cache(self) -> DiskCache:
        with self._lock:
            if self._opened is None:
                self._opened = DiskCache(self._root / _FOLDER)
                if file_system(self._root) in {"tmpfs", "ramfs"}:
                    logger.warning(
                        "engine_cache_in_memory",
                        extra={"folder": str(self._root), "reason": "on tmpfs: the bytes kept there count as memory"},
                    )
            return self._opened


def file_system(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """The type of the file system that holds `path`; None where the kernel does not tell."""
    try:
        rows = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return None
    real = os.path.realpath(path)
    held = [(row[1], row[2]) for row in rows if os.path.commonpath([real, row[1]]) == row[1]]
    # The deepest mount counts, and of several on one point the last.
    return max(enumerate(held), key=lambda found: (len(found[1][0]), found[0]))[1][1] if held else None
