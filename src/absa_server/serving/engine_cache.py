"""Compiled networks kept on disk. A shortage of room costs time, never the model. Knows no engine."""

import logging
from collections.abc import Callable
from pathlib import Path

from absa_server.engines.folder_cache import FolderLease, NoCache
from absa_server.serving.cache_disk import CacheDisk
from model_loader import CacheError, DiskFull

logger = logging.getLogger(__name__)


class EngineCache:
    """`engines.folder_cache.FolderCache` on `disk`, shared by threads and processes."""

    def __init__(self, disk: CacheDisk) -> None:
        self._disk = disk

    def lease(self, key: str, fill: Callable[[Path], None]) -> FolderLease:
        """See `FolderCache`. Where nothing can be kept, the folder is made for this once, with a warning."""
        try:
            return self._disk.open().lease(key, fill)
        except (CacheError, DiskFull, OSError) as error:
            logger.warning("engine_cache_unavailable", extra={"folder": str(self._disk.root), "reason": str(error)})
            return NoCache().lease(key, fill)
