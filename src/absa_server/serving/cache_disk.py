"""The folder of ABSA_CACHE_DIR: artifacts of the store and compiled networks, under one budget and in one order of use.

One budget, because they take the same disk: two would have to be split by hand, and each would waste what the other
lacks. What was compiled from an artifact that has gone is asked for no more, and is evicted like anything else.
"""

import logging
import os
import threading
from pathlib import Path

from model_loader import DiskCache
from model_loader.budgets import disk_budget_bytes

logger = logging.getLogger(__name__)

_FOLDER = "entries-v1"
_SHARE = 0.8
_MOUNTS = Path("/proc/self/mounts")


class CacheDisk:
    """Opened by the first who needs it. `budget_mb` 0 takes a share of the disk's size."""

    def __init__(self, root: Path, *, budget_mb: int = 0) -> None:
        self.root = root
        self._budget_mb = budget_mb
        self._lock = threading.Lock()
        self._opened: DiskCache | None = None

    @property
    def opened(self) -> DiskCache | None:
        """The cache, if somebody has needed it already."""
        return self._opened

    def open(self) -> DiskCache:
        """The cache, shared by all who ask. Raises `OSError` where nothing can be kept in `root`."""
        with self._lock:
            if self._opened is None:
                budget = self._budget_mb << 20 or disk_budget_bytes(self.root, share=_SHARE)
                self._opened = DiskCache(self.root / _FOLDER, budget_bytes=budget)
                logger.info("disk_budget", extra={"bytes": budget, "folder": str(self.root)})
                if file_system(self.root) in {"tmpfs", "ramfs"}:
                    logger.warning(
                        "cache_in_memory",
                        extra={"folder": str(self.root), "reason": "on tmpfs: the bytes kept there count as memory"},
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
