"""Complete folders on disk, filled once, kept within a budget, shared by threads and processes, surviving restarts.

    root/
    ├── cache.lock             held for the moments in which entries are published, evicted or counted
    ├── filling/<key's hash>   held by whoever fills that key; the others wait for it
    ├── temporary/<random>/    being filled or deleted; its record is locked while its owner lives
    └── entries/<key's hash>/  content/ and entry.json, whose lock is the lease

A folder becomes an entry by one rename, so a killed process leaves either a complete entry or a temporary folder that
nobody holds, which the next process deletes. Nothing is synced to the platter: an instance that loses power loses its
cache. Knows no network and nothing of what the folders mean.
"""

import errno
import hashlib
import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from model_loader import disk_entry
from model_loader.cache_stats import DiskStats
from model_loader.disk_entry import CONTENT, RECORD, DiskLease, EntryRecord
from model_loader.errors import CacheBusy, CacheTooSmall, DiskFull
from model_loader.file_locks import FileLock, lock_exclusively

logger = logging.getLogger(__name__)

FREE_FLOOR_BYTES = 256 << 20
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}

Fill = Callable[[Path], None]


class DiskCache:
    """Thread-safe, and safe beside other processes on the same `root` (which must allow flock: a local file system).

    `budget_bytes` limits the blocks that entries take, None leaves only the floor; `free_floor_bytes` of the file
    system are left free for others. `clock` tells seconds since the epoch: last uses outlive the process.
    """

    def __init__(
        self,
        root: Path,
        *,
        budget_bytes: int | None = None,
        free_floor_bytes: int = FREE_FLOOR_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.root = root
        self.budget_bytes = budget_bytes
        self._floor_bytes = free_floor_bytes
        self._clock = clock
        self._entries, self._filling, self._temporary = root / "entries", root / "filling", root / "temporary"
        for folder in (self._entries, self._filling, self._temporary):
            folder.mkdir(parents=True, exist_ok=True)
        self._stats = DiskStats()
        self._stats_lock = threading.Lock()
        with self._alone():
            self._sweep()
            self._make_room(0)

    def lease(self, key: str, fill: Fill, *, expected_bytes: int = 0) -> DiskLease:
        """The entry of `key`, complete; when it is missing or damaged, `fill(empty_folder)` has made it first.

        One caller fills, the others wait, over all processes. `expected_bytes` are made free before the fill.
        Raises what `fill` raises (and then leaves nothing), `CacheTooSmall` for more than the whole budget, `CacheBusy`
        when all that could be evicted is leased, `DiskFull` when the file system has no room.
        """
        name = _name(key)
        lease = self._open(key, name)
        if lease is not None:
            self._count(hits=1)
            return lease
        with self._only_filler(name):
            lease = self._open(key, name)  # another has filled it while we waited
            if lease is None:
                self._count(misses=1)
                return self._fill(key, name, fill, expected_bytes)
            self._count(hits=1)
            return lease

    def forget(self, key: str) -> bool:
        """Deletes the entry of `key` unless somebody leases it; whether it is gone."""
        with self._alone():
            folder = self._entries / _name(key)
            return not folder.exists() or self._evict(folder) is not None

    def stats(self) -> DiskStats:
        """Counts of this process, and the entries and bytes of all processes."""
        sizes = [record.disk_bytes for _, record in self._records()]
        with self._stats_lock:
            return replace(self._stats, entries=len(sizes), used_bytes=sum(sizes))

    def counts(self) -> DiskStats:
        """What this process did; looks at no file, and leaves out what the cache holds."""
        with self._stats_lock:
            return self._stats

    def _open(self, key: str, name: str) -> DiskLease | None:
        """A lease of the entry as it is, or None when it is missing, damaged or evicted."""
        folder = self._entries / name
        try:
            held = FileLock.open(folder / RECORD)
        except OSError:
            return None
        held.lock(exclusive=False)  # waits out whoever looks this moment whether it is leased, or evicts it
        if held.is_current():
            record = disk_entry.read_record(folder)
            if record is not None and disk_entry.is_intact(folder, record):
                disk_entry.touch(folder, self._clock())
                return DiskLease(key, folder / CONTENT, held)
        held.close()
        return None

    def _fill(self, key: str, name: str, fill: Fill, expected_bytes: int) -> DiskLease:
        started = time.monotonic()
        with self._alone():
            self._discard_damaged(key, name)  # we alone fill this key, and have just found no intact entry of it
            self._sweep()
            self._make_room(expected_bytes)
            folder, held = self._new_temporary()
        try:
            with _disk_errors(key):
                fill(folder / CONTENT)
                disk_entry.write_record(folder, record := disk_entry.record_of(folder, key))
            lease = self._publish(record, name, folder, held)
        except BaseException:
            held.close()
            shutil.rmtree(folder, ignore_errors=True)
            self._count(fill_failures=1)
            raise
        self._count(fills=1, fill_seconds=time.monotonic() - started)
        return lease

    def _new_temporary(self) -> tuple[Path, FileLock]:
        folder = self._temporary / uuid.uuid4().hex
        with _disk_errors("a new entry"):
            (folder / CONTENT).mkdir(parents=True)
            held = FileLock.open(folder / RECORD, create=True)
        held.lock(exclusive=True)
        return folder, held

    def _publish(self, record: EntryRecord, name: str, folder: Path, held: FileLock) -> DiskLease:
        with self._alone():
            self._make_room(record.disk_bytes, already_on_disk=True)
            disk_entry.touch(folder, self._clock())
            folder.rename(self._entries / name)
            held.lock(exclusive=False)  # not atomic, but evictions need the lock that we hold
        # The lock went with the file; only its path is another now.
        return DiskLease(record.key, self._entries / name / CONTENT, held)

    def _discard_damaged(self, key: str, name: str) -> None:
        """Whoever still reads a damaged entry keeps the files it has open; the path will lead to the new ones."""
        folder = self._entries / name
        if folder.exists():
            logger.warning("disk_entry_damaged", extra={"key": key})
            self._count(damaged=1)
            self._delete(folder)

    def _make_room(self, wanted_bytes: int, *, already_on_disk: bool = False) -> None:
        """Evicts the least recently used, unleased entries until `wanted_bytes` fit; evicts none if they cannot."""
        if self.budget_bytes is not None and wanted_bytes > self.budget_bytes:
            raise CacheTooSmall(f"{wanted_bytes} bytes on disk, the whole cache may take {self.budget_bytes}")
        entries = sorted(self._records(), key=lambda entry: disk_entry.last_use(entry[0]))
        excess = self._excess_bytes(
            sum(record.disk_bytes for _, record in entries) + wanted_bytes, 0 if already_on_disk else wanted_bytes
        )
        if excess <= 0:
            return
        idle = [(folder, record) for folder, record in entries if self._is_idle(folder)]
        if wanted_bytes and excess > sum(record.disk_bytes for _, record in idle):
            raise self._no_room(wanted_bytes, idle=len(idle), entries=len(entries))
        for folder, record in idle:
            if excess <= 0:
                return
            if self._evict(folder) is not None:
                excess -= record.disk_bytes
        if wanted_bytes and excess > 0:  # leased between the count and the eviction
            raise self._no_room(wanted_bytes, idle=0, entries=len(entries))

    def _excess_bytes(self, used_bytes: int, new_bytes: int) -> int:
        over_budget = used_bytes - self.budget_bytes if self.budget_bytes is not None else 0
        below_floor = self._floor_bytes + new_bytes - shutil.disk_usage(self.root).free
        return max(over_budget, below_floor)

    def _no_room(self, wanted_bytes: int, *, idle: int, entries: int) -> DiskFull | CacheBusy:
        free = shutil.disk_usage(self.root).free
        told = f"{wanted_bytes} bytes wanted, {free} free on disk, {self._floor_bytes} of them kept free"
        if entries > idle:
            return CacheBusy(f"{told}; {entries - idle} of {entries} entries are in use and cannot be evicted")
        return DiskFull(f"{told}; evicting all {entries} entries would not make room")

    def _is_idle(self, folder: Path) -> bool:
        try:
            with FileLock.open(folder / RECORD) as held:
                return held.try_lock(exclusive=True)
        except OSError:
            return False

    def _evict(self, folder: Path) -> EntryRecord | None:
        """Deletes an entry that nobody leases and returns its record; None when it is leased."""
        record = disk_entry.read_record(folder)
        try:
            held = FileLock.open(folder / RECORD)
        except OSError:
            return None
        with held:
            if record is None or not held.try_lock(exclusive=True):
                return None
            age_s = max(0.0, self._clock() - disk_entry.last_use(folder))
            self._delete(folder)
        self._count(evictions=1, evicted_bytes=record.disk_bytes, age_at_eviction_s=age_s)
        logger.info("disk_entry_evicted", extra={"key": record.key, "bytes": record.disk_bytes, "age_s": round(age_s)})
        return record

    def _delete(self, folder: Path) -> None:
        """By way of the temporary folders, so that a death half-way leaves no half entry."""
        doomed = folder.rename(self._temporary / uuid.uuid4().hex)
        shutil.rmtree(doomed, ignore_errors=True)

    def _sweep(self) -> None:
        """Deletes what dead processes left; entries without a readable record as well."""
        for folder in self._temporary.iterdir():
            if not (folder / RECORD).exists() or self._is_idle(folder):
                shutil.rmtree(folder, ignore_errors=True)
        for folder in self._entries.iterdir():
            if disk_entry.read_record(folder) is None:
                self._delete(folder)
        for path in self._filling.iterdir():
            with FileLock.open(path, create=True) as held:
                if held.try_lock(exclusive=True):
                    path.unlink(missing_ok=True)

    def _records(self) -> Iterator[tuple[Path, EntryRecord]]:
        for folder in self._entries.iterdir():
            record = disk_entry.read_record(folder)
            if record is not None:
                yield folder, record

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Excludes every other thread and process from publishing, evicting and counting."""
        with FileLock.open(self.root / "cache.lock", create=True) as held:
            held.lock(exclusive=True)
            yield

    @contextmanager
    def _only_filler(self, name: str) -> Iterator[None]:
        path = self._filling / name
        with lock_exclusively(path):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def _count(self, **more: float) -> None:
        with self._stats_lock:
            now = self._stats
            self._stats = replace(now, **{name: getattr(now, name) + value for name, value in more.items()})

    def __repr__(self) -> str:
        stats = self.stats()
        return f"DiskCache({self.root}, {stats.entries} entries, {stats.used_bytes} of {self.budget_bytes} bytes)"


def _name(key: str) -> str:
    """A folder's name for any key, however long and whatever it holds."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def _disk_errors(key: str) -> Iterator[None]:
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:
        if any(isinstance(one, OSError) and one.errno in _NO_SPACE for one in _chain(error)):
            raise DiskFull(f"no space left on the disk while writing {key}; give the cache a larger volume") from error
        raise


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
