"""Models by name: found in a store, kept on disk, loaded into memory, and replaced when the store's version changes.

Blocking work (asking the store, fetching) runs in an executor, once for all who wait for the same name; loading runs in
the memory cache's. Generic in what is loaded.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic

from model_loader.cache_stats import LoaderStats
from model_loader.delivery import Delivery, DeliveryOptions, key_of
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
from model_loader.memory_entry import Footprint, MemoryLease, T, follow
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
    failure_memory_s: float = 5.0
    delivery: DeliveryOptions = field(default_factory=DeliveryOptions)


@dataclass(frozen=True, slots=True)
class _Known:
    """The version that answers for a name. `refused` is the token of a newer one that could not be loaded."""

    version: Version
    checked_at_s: float
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A version whose files lie on disk, and what loading them will take. `instead_of` serves on unless it loads."""

    version: Version
    footprint: Footprint
    instead_of: _Known | None = None


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
        self._load_folder = load
        self._footprint_of = footprint_of
        self._options = options or LoaderOptions()
        self._delivery = Delivery(source, disk, self._options.delivery)
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._pinned: set[str] = set()
        self._replacements = self._refused_replacements = 0
        self._failures = RecentFailures(self._options.failure_memory_s, clock)
        self._preparing: Flights[_Prepared] = Flights(executor)
        self._checking: Flights[None] = Flights(executor)

    def request(self, name: str) -> "Future[MemoryLease[T]]":
        """A lease of the model `name`, now or once it is loaded. Whoever stops waiting calls `abandon`.

        Raises `NameInvalid` at once; the future fails with what the store, the caches or `load` raised.
        """
        ModelRef.parse(name)
        future: Future[MemoryLease[T]] = Future()
        known, failure = self._look_up(name)
        if known is not None and (lease := self.memory.join(key_of(known.version))) is not None:
            follow(future, lease)
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
            self.memory.pin(key_of(known.version))

    def stats(self) -> LoaderStats:
        """Counts since the start."""
        with self._lock:
            return replace(
                self._delivery.stats(),
                replacements=self._replacements,
                refused_replacements=self._refused_replacements,
            )

    def close(self) -> None:
        """Ends downloads under way; the caches are their owner's."""
        self._delivery.close()

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
            self._load_prepared(name, prepared.result(), future)

    def _load_prepared(self, name: str, prepared: _Prepared, future: "Future[MemoryLease[T]]") -> None:
        leasing = self._request_memory(prepared)
        known = prepared.instead_of
        if known is None:
            follow(future, leasing)
            return

        def settle(loaded: "Future[MemoryLease[T]]") -> None:
            if (error := loaded.exception()) is None:
                self._adopt(name, prepared.version)
                follow(future, loaded)
                return
            self._refuse(name, known, prepared.version, error)
            self._preparing.join(name, lambda: self._prepare(name), lambda again: self._continue(name, again, future))

        leasing.add_done_callback(settle)

    def _request_memory(self, prepared: _Prepared) -> "Future[MemoryLease[T]]":
        version = prepared.version
        return self.memory.request(key_of(version), lambda: self._load(version), prepared.footprint)

    def _prepare(self, name: str) -> _Prepared:
        """The version to load: the known one while that is fresh, or the store cannot be asked; else the store's."""
        known, _ = self._look_up(name)
        if known is None:
            return self._bring_current(name)
        try:
            if not self._is_stale(known):
                return self._bring(known.version)
            return self._bring_newer(name, known)
        except ArtifactReplaced:  # its files left the disk, and the store has others now
            return self._bring_current(name)

    def _bring_current(self, name: str) -> _Prepared:
        for _ in range(_FETCHES):
            version = self._delivery.resolve(name)
            try:
                prepared = self._bring(version)
            except ArtifactReplaced:
                continue
            self._adopt(name, version)
            return prepared
        raise StoreUnavailable(f"{name} was replaced {_FETCHES} times while it was fetched; finish the upload first")

    def _bring_newer(self, name: str, known: _Known) -> _Prepared:
        """The store's version, to be tried where it is a new one: what cannot be had leaves the known one serving."""
        self._note(name, replace(known, checked_at_s=self._clock()))  # a store that fails is not asked again at once
        try:
            version = self._delivery.resolve(name)
        except ArtifactMissing:
            self._remove(name, known)
            raise
        except ArtifactError as error:
            logger.warning("model_check_failed", extra={"model": name, "reason": str(error)})
            return self._bring(known.version)
        if key_of(version) in {key_of(known.version), known.refused}:
            return self._bring(known.version)
        try:
            return replace(self._bring(version), instead_of=known)
        except Exception as error:  # whatever it is, the known version can still serve
            self._refuse(name, known, version, error)
            return self._bring(known.version)

    def _bring(self, version: Version) -> _Prepared:
        with self._delivery.lease(version, is_first=True) as lease:
            return _Prepared(version, self._footprint_of(lease.path))

    def _load(self, version: Version) -> T:
        with self._delivery.lease(version) as lease:
            return self._load_folder(lease.path)

    def _check(self, name: str) -> None:
        """Asks the store for the version of a model that is loaded, and replaces it by a newer one that loads."""
        known, _ = self._look_up(name)
        if known is None or not self._is_stale(known):
            return
        self._note(name, replace(known, checked_at_s=self._clock()))
        try:
            version = self._delivery.resolve(name)
        except ArtifactMissing:
            self._remove(name, known)
            return
        except ArtifactError as error:
            logger.warning("model_check_failed", extra={"model": name, "reason": str(error)})
            return
        if key_of(version) not in {key_of(known.version), known.refused}:
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
            self.memory.pin(key_of(version))
        if before is not None and key_of(before.version) != key_of(version):
            with self._lock:
                self._replacements += 1
            logger.info("model_replaced", extra={"model": name, "uri": version.uri, "token": version.token})
            self._discard(before.version)

    def _refuse(self, name: str, known: _Known, version: Version, error: BaseException) -> None:
        """The older version goes on serving. A lasting fault is told once, and the same version not tried again."""
        is_lasting = not isinstance(error, ArtifactReplaced | StoreUnavailable | CacheClosed)
        with self._lock:
            now = self._known.get(name)
            if now is None or now.version != known.version or now.refused == key_of(version):
                return
            self._refused_replacements += 1
            self._known[name] = _Known(now.version, self._clock(), key_of(version) if is_lasting else None)
        logger.error("model_replacement_failed", extra={"model": name, "uri": version.uri, "reason": str(error)})

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
        self.memory.retire(key_of(version))
        self._delivery.forget(version)
