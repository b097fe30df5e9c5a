"""What is loaded, in memory, within a budget of bytes: the least recently used goes first, what is in use never.

Every change of state happens in `_admit` and `_decide`, with the lock held; they return the work to do after it: loads,
closings, answers to those who wait. Knows neither files nor what is loaded.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Generic

from model_loader.cache_stats import MemoryStats
from model_loader.errors import CacheBusy, CacheClosed, CacheError
from model_loader.memory_entry import Entry, Footprint, MemoryLease, State, T
from model_loader.memory_queue import LoadQueue
from model_loader.memory_shelf import Shelf
from model_loader.memory_work import Work
from model_loader.recent_failures import RecentFailures

logger = logging.getLogger(__name__)


class MemoryCache(Generic[T]):
    """Thread-safe; no method but `close` waits for anything.

    Loads run in `executor`, at most `loads_at_once` side by side: those for which it has threads, since a load that has
    its room and waits for a thread keeps others from answering. `size_of` tells the bytes a loaded value takes,
    `close_value` frees it and returns the bytes it gave back. A failed load is remembered for `failure_memory_s`.
    """

    def __init__(
        self,
        budget_bytes: int,
        *,
        executor: Executor,
        loads_at_once: int,
        size_of: Callable[[T], int],
        close_value: Callable[[T], int],
        failure_memory_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget_bytes = budget_bytes
        self._executor = executor
        self._loads_at_once = loads_at_once
        self._size_of = size_of
        self._close_value = close_value
        self._clock = clock
        self._lock = threading.Lock()
        self._shelf: Shelf[T] = Shelf(budget_bytes)
        self._queue: LoadQueue[T] = LoadQueue()
        self._failures = RecentFailures(failure_memory_s, clock)
        self._is_closed = False
        self._stats = MemoryStats()
        # Not the executor of the loads: freeing must not wait behind one.
        self._closer = ThreadPoolExecutor(1, thread_name_prefix="cache-close")

    def request(
        self, key: str, load: Callable[[], T], footprint: Footprint, *, is_patient: bool = True
    ) -> "Future[MemoryLease[T]]":
        """A lease of `key`, as soon as it is loaded and there is room; cancelling it cancels nothing for others.

        The future fails with what `load` raised, with `CacheTooSmall` when it can never fit (nobody is evicted then),
        or with `CacheClosed`; unless `is_patient`, with `CacheBusy` when others would have to be released first.
        Whoever stops waiting calls `abandon`.
        """
        future: Future[MemoryLease[T]] = Future()
        with self._lock:
            work = self._admit(Entry(key, load, footprint, self._clock(), is_patient=is_patient), future)
        self._carry_out(work)
        return future

    def join(self, key: str) -> "Future[MemoryLease[T]] | None":
        """As `request` of what is loaded or on its way; None when it is neither."""
        future: Future[MemoryLease[T]] = Future()
        with self._lock:
            entry = self._shelf.get(key) or self._queue.get(key)
            if entry is None or self._is_closed:
                return None
            work = self._enter(entry, future)
        self._carry_out(work)
        return future

    def pin(self, key: str) -> None:
        """From now on `key` is not evicted, whether it is loaded or not yet, until it is retired."""
        with self._lock:
            self._shelf.pinned.add(key)

    def retire(self, key: str) -> "Future[int] | None":
        """Takes `key` out: new requests load anew, those in flight finish, then it is closed.

        The future tells the bytes that closing gave back; None when there is no such key.
        """
        with self._lock:
            self._failures.forget(key)
            self._shelf.pinned.discard(key)
            work: Work[T] = Work()
            entry = self._queue.get(key)
            if entry is not None:
                self._refuse(entry, _unloaded(entry.key), work)
            else:
                entry = self._shelf.retire(key)
            self._decide(work)
        self._carry_out(work)
        return entry.closed if entry else None

    def stats(self) -> MemoryStats:
        """Counts since the start, and the state now."""
        with self._lock:
            held = list(self._shelf)
            return replace(
                self._stats,
                entries=sum(entry.state is State.READY for entry in held),
                leased=sum(entry.leases > 0 for entry in held),
                waiting=len(self._queue),
                used_bytes=self._shelf.used_bytes,
            )

    def keys(self) -> list[str]:
        """What could answer now, least recently used first."""
        with self._lock:
            return [entry.key for entry in self._shelf if entry.state is State.READY and not entry.is_retired]

    def close(self) -> None:
        """Refuses all who wait, closes what is idle, then returns; the rest is closed when its load or lease ends."""
        with self._lock:
            self._is_closed = True
            work: Work[T] = Work()
            for entry in self._queue:
                self._refuse(entry, _unloaded(entry.key), work)
            for entry in self._shelf:
                self._shelf.retire_entry(entry)
            self._decide(work)
        self._carry_out(work)
        self._closer.shutdown(wait=True)

    def _admit(self, new: Entry[T], future: "Future[MemoryLease[T]]") -> Work[T]:
        """A request is one of these, in this order:

        1. The cache is closed: refused.
        2. Loaded: leased.
        3. On its way for another: it joins those who wait.
        4. Failed a moment ago: refused with the same failure.
        5. Larger than all that could ever be free: refused, and nobody is evicted.
        6. Else it waits for its load to begin, which `_decide` may do at once.
        """
        if self._is_closed:
            return Work([(future, CacheClosed("the server is stopping; nothing is loaded any more"))])
        entry = self._shelf.get(new.key) or self._queue.get(new.key)
        if entry is not None:
            return self._enter(entry, future)
        self._count(misses=1)
        refusal = self._failures.get(new.key) or self._shelf.too_small(new.key, new.footprint.peak_bytes)
        if refusal is not None:
            return Work([(future, refusal)])
        new.waiters.append(future)
        self._queue.add(new)
        return self._decide(Work())

    def _enter(self, entry: Entry[T], future: "Future[MemoryLease[T]]") -> Work[T]:
        is_ready = entry.state is State.READY
        self._count(hits=int(is_ready), shared=int(not is_ready))
        if not entry.is_waiting:
            _log_use(entry.key, entry.state.value)
        entry.used_at_s = self._clock()
        entry.waiters.append(future)
        return self._grant(entry, Work()) if is_ready else Work()

    def _decide(self, work: Work[T]) -> Work[T]:
        """Brings the state to rest, with the lock held, and adds what that calls for:

        1. What is retired and idle is closed.
        2. While more is used than the budget (a load took more than predicted), the idle are evicted.
        3. Each waiting load, longest waiting first, begins if a loader is free and there is room, or evicting the idle
           makes it; else nobody is evicted for it and it goes on waiting. One that nobody waits for is dropped.
        """
        for entry in self._shelf:
            if entry.is_retired and entry.is_idle:
                self._shelf.leave(entry)
                work.closings.append(entry)
        excess = self._shelf.used_bytes - self._shelf.leaving_bytes - self.budget_bytes
        if excess > 0:
            for victim in self._shelf.victims(excess) or self._shelf.idle():
                self._evict(victim)
                work.closings.append(victim)
        self._queue.drop_deserted()
        for entry in self._queue:
            # Who is not patient is told now whether there is room, and so does not wait for a loader without it.
            if not entry.is_patient or self._shelf.loading < self._loads_at_once:
                self._begin_if_room(entry, work)
        return work

    def _grant(self, entry: Entry[T], work: Work[T]) -> Work[T]:
        """A lease for each who waits for what is loaded."""
        waiters, entry.waiters = entry.waiters, []
        entry.leases += len(waiters)
        if entry.value is not None:
            work.answers += [(one, MemoryLease(entry.key, entry.value, self._releaser(entry))) for one in waiters]
        return work

    def _begin_if_room(self, entry: Entry[T], work: Work[T]) -> None:
        missing = self._shelf.used_bytes + entry.footprint.peak_bytes - self.budget_bytes
        if missing > 0 and self._shelf.leaving_bytes > 0:
            return  # what is being closed may suffice; its end decides again
        victims = self._shelf.victims(missing)
        if victims is None:
            if not entry.is_patient:
                told = f"{entry.key} takes {entry.footprint.peak_bytes} bytes; in use: {self._shelf}"
                self._refuse(entry, CacheBusy(told), work)
            return
        for victim in victims:
            self._evict(victim)
            # Its bytes are promised to this load, which closes it before it begins: together they stay in the budget.
            self._shelf.left(victim)
        self._queue.remove(entry)
        self._shelf.add(entry)
        entry.state, entry.used_at_s = State.LOADING, self._clock()
        work.starts.append((entry, victims))
        for number, _ in enumerate(entry.waiters):
            _log_use(entry.key, entry.state.value if number else "nothing")

    def _refuse(self, entry: Entry[T], error: CacheError, work: Work[T]) -> None:
        """All who wait for a load that has not begun are told, and it never does."""
        self._queue.remove(entry)
        work.answers += [(waiter, error) for waiter in entry.waiters]
        work.dropped.append(entry)

    def _evict(self, victim: Entry[T]) -> None:
        age_s = self._clock() - victim.used_at_s
        self._count(evictions=1, evicted_bytes=victim.counted_bytes, age_at_eviction_s=age_s)
        self._shelf.leave(victim)

    def _carry_out(self, work: Work[T]) -> None:
        """With the lock given back: answering runs others' callbacks, closing and starting may take long."""
        work.tell()
        for entry in work.closings:
            try:
                self._closer.submit(self._close_entry, entry)
            except RuntimeError:  # the cache was closed meanwhile, and the last lease has just ended
                self._close_entry(entry)
        for entry, victims in work.starts:
            try:
                self._executor.submit(self._load_entry, entry, victims)
            except RuntimeError as error:
                for victim in victims:
                    self._close_entry(victim)
                self._settle_failure(entry, CacheClosed(f"the server is stopping ({error})"))

    def _load_entry(self, entry: Entry[T], victims: list[Entry[T]]) -> None:
        for victim in victims:
            self._close_entry(victim)
        started = time.monotonic()
        try:
            value = entry.load()
        except Exception as error:
            self._settle_failure(entry, error)
        except BaseException as error:  # settles the waiters, whatever ends this thread
            self._settle_failure(entry, CacheError(f"loading {entry.key} was ended by {type(error).__name__}"))
            raise
        else:
            self._settle_load(entry, value, time.monotonic() - started)

    def _settle_load(self, entry: Entry[T], value: T, seconds: float) -> None:
        size_bytes = self._size_of(value)
        work: Work[T] = Work()
        with self._lock:
            self._count(loads=1, load_seconds=seconds)
            entry.value, entry.state = value, State.READY
            self._shelf.recount(entry, size_bytes)
            too_large = self._shelf.too_small(entry.key, size_bytes)
            if too_large is None:
                self._grant(entry, work)
            else:
                work.answers += [(waiter, too_large) for waiter in entry.waiters]
                self._failures.add(entry.key, too_large)
                self._shelf.retire_entry(entry)
            self._decide(work)
        self._carry_out(work)

    def _settle_failure(self, entry: Entry[T], error: Exception) -> None:
        with self._lock:
            self._count(load_failures=1)
            self._shelf.drop(entry)
            self._failures.add(entry.key, error)
            work = self._decide(Work([(waiter, error) for waiter in entry.waiters]))
        self._carry_out(work)
        entry.closed.set_result(0)

    def _close_entry(self, entry: Entry[T]) -> None:
        started = time.monotonic()
        value, entry.value = entry.value, None
        reclaimed = 0
        try:
            if value is not None:
                reclaimed = self._close_value(value)
        except Exception:
            logger.exception("close_failed", extra={"key": entry.key})
        seconds = time.monotonic() - started
        logger.info(
            "memory_entry_closed",
            extra={"key": entry.key, "reclaimed_bytes": reclaimed, "seconds": round(seconds, 3)},
        )
        with self._lock:
            self._count(reclaimed_bytes=reclaimed, close_seconds=seconds)
            self._shelf.left(entry)
            work = self._decide(Work())
        self._carry_out(work)
        entry.closed.set_result(reclaimed)

    def _releaser(self, entry: Entry[T]) -> Callable[[], None]:
        is_held = True

        def release() -> None:
            nonlocal is_held
            with self._lock:
                entry.leases -= int(is_held)
                is_held = False
                work = self._decide(Work()) if entry.leases == 0 else Work()
            self._carry_out(work)

        return release

    def _count(self, **more: float) -> None:
        now = self._stats
        self._stats = replace(now, **{name: getattr(now, name) + value for name, value in more.items()})

    def __repr__(self) -> str:
        with self._lock:
            told = [str(self._shelf), *(f"{entry.key}: {entry.state.value}" for entry in self._queue)]
            return f"MemoryCache({'closed; ' if self._is_closed else ''}{'; '.join(told)})"


def _unloaded(key: str) -> CacheClosed:
    return CacheClosed(f"{key} was unloaded before it was loaded")


def _log_use(key: str, found: str) -> None:
    """In the order of use, by which the least recent is evicted: a load that waits is used when it begins."""
    logger.debug("memory_used", extra={"key": key, "found": found})
