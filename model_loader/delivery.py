"""Versions of a store brought to disk: looked up, fetched into the cache unless they lie there, a few at a time.

Blocking; callable from many threads. Knows neither memory nor which version answers for a name.
"""

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from model_loader.archive import Limits
from model_loader.cache_stats import LoaderStats
from model_loader.deadlines import Deadline
from model_loader.disk_cache import DiskCache
from model_loader.disk_entry import DiskLease
from model_loader.sources import Source, Version

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """`parallel_fetches`: more bring a crowd of cold models sooner, each for as much memory as its source's parts."""

    fetch_timeout_s: float = 600.0
    resolve_timeout_s: float = 30.0
    max_artifact_bytes: int = 16 << 30
    parallel_fetches: int = 4


class Delivery:
    """`source` brought into `disk`. `close` ends what is under way."""

    def __init__(self, source: Source, disk: DiskCache, options: DeliveryOptions) -> None:
        self.disk = disk
        self._source = source
        self._options = options
        self._lock = threading.Lock()
        self._fetching = threading.BoundedSemaphore(options.parallel_fetches)
        self._deadlines: set[Deadline] = set()
        self._life = Deadline(math.inf)
        self._stats = LoaderStats()

    def resolve(self, name: str) -> Version:
        """The version of `name` that the store holds now. Raises what `Source.resolve` raises."""
        with self._deadline(self._options.resolve_timeout_s) as deadline:
            return self._source.resolve(name, deadline=deadline)

    def lease(self, version: Version, *, is_first: bool = False) -> DiskLease:
        """The files of `version`, fetched first where they are not here. Raises what source and cache raise.

        A load leases them twice; only its first lease counts as a hit.
        """
        is_here = True

        def fill(folder: Path) -> None:
            nonlocal is_here
            is_here = False
            self._fetch(version, folder)

        lease = self.disk.lease(key_of(version), fill, expected_bytes=version.size_bytes)
        self._count(disk_hits=int(is_here and is_first))
        return lease

    def forget(self, version: Version) -> None:
        """Deletes its files unless somebody reads them."""
        self.disk.forget(key_of(version))

    def stats(self) -> LoaderStats:
        """Counts since the start."""
        with self._lock:
            return self._stats

    def close(self) -> None:
        """Ends requests and downloads under way; later ones are refused with `DeadlineExceeded`."""
        self._life.cancel()
        with self._lock:
            for deadline in self._deadlines:
                deadline.cancel()

    def _fetch(self, version: Version, folder: Path) -> None:
        limits = Limits(max_bytes=self.disk.budget_bytes or self._options.max_artifact_bytes)
        with self._fetching, self._deadline(self._options.fetch_timeout_s) as deadline:
            deadline.check(f"fetching {version.name}")
            fetched = self._source.fetch(version, folder, limits=limits, deadline=deadline)
        stats = fetched.stats
        logger.info(
            "artifact_fetched",
            extra={
                "model": version.name,
                "uri": version.uri,
                "token": version.token,
                "received_bytes": stats.received_bytes,
                "written_bytes": stats.written_bytes,
                "seconds": round(stats.seconds, 3),
                "requests": stats.requests,
                "retries": stats.retries,
            },
        )
        self._count(fetches=1, fetched_bytes=stats.received_bytes, fetch_seconds=stats.seconds)

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[Deadline]:
        """A deadline that `close` brings forward."""
        deadline = Deadline(seconds)
        with self._lock:
            self._deadlines.add(deadline)
        if self._life.remaining_s == 0:  # asked last: `close` cancels it before it looks at the others
            deadline.cancel()
        try:
            yield deadline
        finally:
            with self._lock:
                self._deadlines.discard(deadline)

    def _count(self, **more: float) -> None:
        with self._lock:
            now = self._stats
            self._stats = replace(now, **{name: getattr(now, name) + value for name, value in more.items()})


def key_of(version: Version) -> str:
    """Equal keys are the same bytes, in this process and in any later one."""
    return f"{version.uri}#{version.token}"
