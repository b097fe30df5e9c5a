"""Models by name: found in a store, kept on disk, loaded into memory, and replaced when the store's version changes.

Blocking work (asking the store, fetching) runs in an executor, once for all who wait for the same name; loading runs in
the memory cache's. Generic in what is loaded.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic

from model_loader.archive import Limits
from model_loader.deadlines import Deadline
from model_loader.disk_cache import DiskCache
from model_loader.errors import (
    ArtifactError,
    ArtifactMissing,
    ArtifactReplaced,
    CacheClosed,
    CacheError,
    StoreUnavailable,
)
from model_loader.flights import Flights
from model_loader.memory_cache import MemoryCache
from model_loader.memory_entry import Footprint, MemoryLease, T
from model_loader.recent_failures import RecentFailures
from model_loader.refs import ModelRef
from model_loader.sources import Source, Version

logger = logging.getLogger(__name__)

# Whoever replaces an object more often than this during one download has to be told, not followed.
_FETCHES = 4


@dataclass(frozen=True, slots=True)
class LoaderOptions:
    """`ttl_s`: how old the knowledge of a name's version may get before the store is asked again."""

    ttl_s: float = 60.0
    fetch_timeout_s: float = 600.0
    resolve_timeout_s: float = 30.0
    failure_memory_s: float = 5.0
    max_artifact_bytes: int = 16 << 30


@dataclass(frozen=True, slots=True)
class LoaderStats:
    """Versions swapped in, and versions that were refused while the old one went on serving."""

    replacements: int = 0
    refused_replacements: int = 0
    fetched_bytes: int = 0
    fetch_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Known:
    """The version that answers for a name. `refused` is the token of a newer one that could not be loaded."""

    version: Version
    checked_at_s: float
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A version whose files lie on disk, and what loading them will take."""

    version: Version
    footprint: Footprint


class Loader(Generic[T]):
    """Thread-safe. `load` makes the value of a folder, `footprint_of` predicts what that takes in memory."""

    def __init__(
        self,
        source: Source,
        disk: DiskCache,
        memory: MemoryCache[T],
        *,
        load: Callable[[Path], T],
        footprint_of: Callable[[Path], Footprint],
        executor: Executor,
        options: LoaderOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.disk = disk
        self.memory = memory
        self._source = source
        self._load_folder = load
        self._footprint_of = footprint_of
        self._options = options or LoaderOptions()
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._pinned: set[str] = set()
        self._stats = LoaderStats()
        self._failures = RecentFailures(self._options.failure_memory_s, clock)
        self._preparing: Flights[_Prepared] = Flights(executor)
        self._checking: Flights[None] = Flights(executor)
        self._life = Deadline(math.inf)

    def request(self, name: str) -> "Future[MemoryLease[T]]":
        """A lease of the model `name`, now or once it is loaded. Whoever stops waiting calls `abandon`.

        Raises `NameInvalid` at once; the future fails with what the store, the caches or `load` raised.
        """
        ModelRef.parse(name)
        future: Future[MemoryLease[T]] = Future()
        known, failure = self._look_up(name)
        if known is not None and (lease := self.memory.join(_key(known.version))) is not None:
            _follow(future, lease)
            if self._is_stale(known):
                self._checking.join(name, lambda: self._check(name), lambda _: None)
        elif failure is not None:
            future.set_exception(failure)
        else:
            self._preparing.join(
                name, lambda: self._prepare(name), lambda prepared: self._continue(name, prepared, future)
            )
        return future

    def pin(self, name: str) -> None:
        """From now on the version that answers for `name` is not evicted."""
        with self._lock:
            self._pinned.add(name)
            known = self._known.get(name)
        if known is not None:
            self.memory.pin(_key(known.version))

    def stats(self) -> LoaderStats:
        """Counts since the start."""
        with self._lock:
            return self._stats

    def close(self) -> None:
        """Ends downloads under way; the caches are their owner's."""
        self._life.cancel()

    def _look_up(self, name: str) -> tuple[_Known | None, Exception | None]:
        with self._lock:
            return self._known.get(name), self._failures.get(name)

    def _is_stale(self, known: _Known) -> bool:
        return self._clock() - known.checked_at_s >= self._options.ttl_s

    def _continue(self, name: str, prepared: "Future[_Prepared]", future: "Future[MemoryLease[T]]") -> None:
        error = prepared.exception()
        if error is not None:
            if isinstance(error, Exception) and not isinstance(error, CacheError):
                with self._lock:
                    self._failures.add(name, error)
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        elif not future.cancelled():
            _follow(future, self._request_memory(prepared.result()))

    def _request_memory(self, prepared: _Prepared) -> "Future[MemoryLease[T]]":
        version = prepared.version
        return self.memory.request(_key(version), lambda: self._load(version), prepared.footprint)

    def _prepare(self, name: str) -> _Prepared:
        """The version to load: the known one while that is fresh, or the store cannot be asked; else the store's."""
        known, _ = self._look_up(name)
        if known is not None and not self._is_stale(known):
            return self._bring(known.version)
        try:
            prepared = self._bring_current(name)
        except StoreUnavailable as error:
            if known is None:
                raise
            logger.warning("model_check_failed", extra={"model": name, "reason": str(error)})
            return self._bring(known.version)
        self._adopt(name, prepared.version)
        return prepared

    def _bring_current(self, name: str) -> _Prepared:
        for _ in range(_FETCHES):
            version = self._source.resolve(name, deadline=Deadline(self._options.resolve_timeout_s))
            try:
                return self._bring(version)
            except ArtifactReplaced:
                continue
        raise StoreUnavailable(f"{name} was replaced {_FETCHES} times while it was fetched; finish the upload first")

    def _bring(self, version: Version) -> _Prepared:
        with self.disk.lease(_key(version), self._fill(version), expected_bytes=version.size_bytes) as lease:
            return _Prepared(version, self._footprint_of(lease.path))

    def _load(self, version: Version) -> T:
        with self.disk.lease(_key(version), self._fill(version), expected_bytes=version.size_bytes) as lease:
            return self._load_folder(lease.path)

    def _fill(self, version: Version) -> Callable[[Path], None]:
        def fill(folder: Path) -> None:
            self._life.check(f"fetching {version.name}")
            limits = Limits(max_bytes=self.disk.budget_bytes or self._options.max_artifact_bytes)
            deadline = Deadline(self._options.fetch_timeout_s)
            fetched = self._source.fetch(version, folder, limits=limits, deadline=deadline)
            self._count(fetched_bytes=fetched.stats.received_bytes, fetch_seconds=fetched.stats.seconds)

        return fill

    def _check(self, name: str) -> None:
        """Asks the store for the version of a model that is loaded, and replaces it by a newer one that loads."""
        known, _ = self._look_up(name)
        if known is None or not self._is_stale(known):
            return
        self._note(name, replace(known, checked_at_s=self._clock()))
        try:
            version = self._source.resolve(name, deadline=Deadline(self._options.resolve_timeout_s))
        except ArtifactMissing:
            self._remove(name, known)
            return
        except ArtifactError as error:
            logger.warning("model_check_failed", extra={"model": name, "reason": str(error)})
            return
        if _key(version) not in {_key(known.version), known.refused}:
            self._replace(name, known, version)

    def _replace(self, name: str, known: _Known, version: Version) -> None:
        """Loads `version` beside the one that serves, which goes on serving if that fails."""
        try:
            loading = self._request_memory(self._bring(version))
        except Exception as error:  # whatever it is, this background work only tells it
            self._refuse(name, known, version, error)
            return

        def swap(loaded: "Future[MemoryLease[T]]") -> None:
            if (error := loaded.exception()) is not None:
                self._refuse(name, known, version, error)
                return
            self._adopt(name, version)
            loaded.result().release()

        loading.add_done_callback(swap)

    def _adopt(self, name: str, version: Version) -> None:
        """From now on `version` answers for `name`; the one before leaves when its last lease ends."""
        with self._lock:
            before = self._known.get(name)
            self._known[name] = _Known(version, self._clock())
            self._failures.forget(name)
            is_pinned = name in self._pinned
        if is_pinned:
            self.memory.pin(_key(version))
        if before is not None and _key(before.version) != _key(version):
            self._count(replacements=1)
            logger.info("model_replaced", extra={"model": name, "uri": version.uri, "token": version.token})
            self._discard(before.version)

    def _refuse(self, name: str, known: _Known, version: Version, error: BaseException) -> None:
        self._count(refused_replacements=1)
        logger.error("model_replacement_failed", extra={"model": name, "uri": version.uri, "reason": str(error)})
        is_lasting = not isinstance(error, ArtifactReplaced | StoreUnavailable | CacheClosed)
        self._note(name, replace(known, checked_at_s=self._clock(), refused=_key(version) if is_lasting else None))

    def _note(self, name: str, known: _Known) -> None:
        with self._lock:
            if (now := self._known.get(name)) is not None and now.version == known.version:
                self._known[name] = known

    def _remove(self, name: str, known: _Known) -> None:
        logger.warning("model_gone", extra={"model": name, "uri": known.version.uri})
        with self._lock:
            self._known.pop(name, None)
        self._discard(known.version)

    def _discard(self, version: Version) -> None:
        self.memory.retire(_key(version))
        self.disk.forget(_key(version))

    def _count(self, **more: float) -> None:
        with self._lock:
            now = self._stats
            self._stats = replace(now, **{name: getattr(now, name) + value for name, value in more.items()})


def _key(version: Version) -> str:
    """Equal keys are the same bytes, in this process and in any later one."""
    return f"{version.uri}#{version.token}"


def _follow(future: "Future[MemoryLease[T]]", lease: "Future[MemoryLease[T]]") -> None:
    """Hands `lease` on to `future`; for one who has left meanwhile it is given back."""

    def hand_on(done: "Future[MemoryLease[T]]") -> None:
        error = done.exception()
        if future.set_running_or_notify_cancel():
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(done.result())
        elif error is None:
            done.result().release()

    lease.add_done_callback(hand_on)
