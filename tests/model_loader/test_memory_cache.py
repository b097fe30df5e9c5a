"""The memory cache: one claim a test, with threads where threads matter and a load that is held where time matters."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from model_loader.errors import CacheBusy, CacheClosed, CacheTooSmall
from model_loader.memory_cache import MemoryCache
from model_loader.memory_entry import Footprint, abandon

WAIT_S = 20


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Value:
    """What is loaded: its size, and whether it was closed (twice is an error of the cache)."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.is_closed = False

    def close(self) -> int:
        assert not self.is_closed
        self.is_closed = True
        return self.size


class Caches:
    """Makes caches whose loads can be counted and held, and closes them all at the end."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.loads: list[str] = []
        self.made: list[MemoryCache[Value]] = []
        self.pool = ThreadPoolExecutor(4)

    def make(self, budget: int = 100, **options) -> MemoryCache[Value]:
        cache = MemoryCache(
            budget,
            executor=self.pool,
            loads_at_once=options.pop("loads_at_once", 4),
            size_of=lambda value: value.size,
            close_value=options.pop("close_value", Value.close),
            clock=self.clock,
            **options,
        )
        self.made.append(cache)
        return cache

    def loader(self, key: str, size: int, hold: threading.Event | None = None) -> Callable[[], Value]:
        def load() -> Value:
            self.loads.append(key)
            assert hold is None or hold.wait(WAIT_S)
            return Value(size)

        return load

    def request(self, cache, key: str, size: int, hold=None, predicted: int | None = None) -> Future:
        footprint = Footprint.of(size if predicted is None else predicted)
        return cache.request(key, self.loader(key, size, hold), footprint)

    def lease(self, cache, key: str, size: int = 40, **more):
        return self.request(cache, key, size, **more).result(WAIT_S)

    def use(self, cache, key: str, size: int = 40) -> None:
        self.lease(cache, key, size).release()


@pytest.fixture
def caches():
    made = Caches()
    yield made
    for cache in made.made:
        cache.close()
    made.pool.shutdown(wait=True)


def test_request_loads_once_and_keeps(caches):
    """The second request of a key finds what the first has loaded."""
    cache = caches.make()
    caches.use(cache, "a")
    caches.use(cache, "a")
    assert caches.loads == ["a"]
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.loads, stats.used_bytes) == (1, 1, 1, 40)


def test_eviction_is_least_recently_used(caches):
    """The one unused for longest goes; its bytes, its age and what it gave back are counted."""
    cache = caches.make(100)
    for key in "ab":
        caches.use(cache, key)
        caches.clock.now_s += 10
    caches.use(cache, "a")
    caches.clock.now_s += 5
    caches.use(cache, "c")
    assert cache.keys() == ["a", "c"]
    stats = cache.stats()
    assert (stats.evictions, stats.evicted_bytes, stats.reclaimed_bytes, stats.age_at_eviction_s) == (1, 40, 40, 15)


def test_age_at_eviction_counts_from_the_begin_of_a_load(caches):
    """The time that a load waited for a loader is no time in which its model was held and not used."""
    hold, cache = threading.Event(), caches.make(80, loads_at_once=1)
    first, second = caches.request(cache, "a", 40, hold), caches.request(cache, "b", 40)
    caches.clock.now_s += 100
    hold.set()
    for future in (first, second):
        future.result(WAIT_S).release()
    cache.join("a").result(WAIT_S).release()
    caches.clock.now_s += 5
    caches.use(cache, "c")
    assert cache.stats().age_at_eviction_s == 5


def test_victim_is_closed_before_the_load_begins(caches):
    """What makes room is closed first: the two never stand in memory together."""
    order = []

    def close(value: Value) -> int:
        order.append("closed")
        return value.close()

    cache = caches.make(50, close_value=close)
    caches.use(cache, "a")
    cache.request("b", lambda: order.append("loading") or Value(40), Footprint.of(40)).result(WAIT_S).release()
    assert order[:2] == ["closed", "loading"]


def test_budget_is_full_to_the_byte(caches):
    """What fits exactly evicts nobody; one byte more does."""
    cache = caches.make(80)
    caches.use(cache, "a")
    caches.use(cache, "b")
    assert cache.keys() == ["a", "b"]
    cache = caches.make(79)
    caches.use(cache, "a")
    caches.use(cache, "b")
    assert cache.keys() == ["b"]


def test_leased_is_never_evicted(caches):
    """A load waits while everything is in use, evicts nobody meanwhile, and starts at the release."""
    cache = caches.make(80)
    first, second = caches.lease(cache, "a"), caches.lease(cache, "b")
    waiting = caches.request(cache, "c", 40)
    assert cache.stats().waiting == 1
    assert not waiting.done()
    assert not first.value.is_closed
    second.release()
    second.release()
    waiting.result(WAIT_S).release()
    assert second.value.is_closed
    assert not first.value.is_closed
    first.release()


def test_wait_for_room_ends_when_its_caller_leaves(caches):
    """A load that nobody waits for any more does not begin when there is room."""
    cache = caches.make(50)
    with caches.lease(cache, "a"):
        waiting = caches.request(cache, "b", 40)
        abandon(waiting)
        assert waiting.cancelled()
    caches.use(cache, "c")
    assert caches.loads == ["a", "c"]


def test_join_takes_only_what_is_there(caches):
    """Joining shares what is loaded or loading, and starts nothing."""
    hold, cache = threading.Event(), caches.make()
    assert cache.join("a") is None
    loading = caches.request(cache, "a", 40, hold)
    joined = cache.join("a")
    hold.set()
    assert loading.result(WAIT_S).value is joined.result(WAIT_S).value
    assert cache.stats().shared == 1
    cache.close()
    assert cache.join("a") is None


def test_too_large_is_refused_and_evicts_nobody(caches):
    """A load whose peak exceeds the whole budget is refused at once; one of exactly the budget is loaded."""
    cache = caches.make(100)
    caches.use(cache, "a")
    with pytest.raises(CacheTooSmall, match="big takes 101 bytes, the whole budget is 100"):
        cache.request("big", caches.loader("big", 10), Footprint.of(10, peak_bytes=101)).result(WAIT_S)
    assert cache.keys() == ["a"]
    caches.use(cache, "just", 100)
    assert cache.keys() == ["just"]


def test_load_that_finds_no_room_evicts_nobody(caches):
    """Evicting only in part would help nobody: all idle ones stay while the rest is leased."""
    cache = caches.make(100)
    caches.use(cache, "idle", 40)
    with caches.lease(cache, "used", 40):
        waiting = caches.request(cache, "big", 100)
        assert cache.keys() == ["idle", "used"]
    waiting.result(WAIT_S).release()
    assert cache.keys() == ["big"]


def test_load_without_a_loader_takes_nobodys_room(caches):
    """A load that would only wait for a free loader evicts nobody and counts for nothing until one is free."""
    hold, cache = threading.Event(), caches.make(100, loads_at_once=1)
    caches.use(cache, "idle", 40)
    loading = caches.request(cache, "a", 40, hold)
    waiting = caches.request(cache, "b", 40)
    assert cache.keys() == ["idle"]
    assert (cache.stats().used_bytes, cache.stats().waiting) == (80, 1)
    hold.set()
    loading.result(WAIT_S).release()
    waiting.result(WAIT_S).release()
    assert cache.keys() == ["a", "b"]


def test_loads_begin_in_the_order_in_which_they_were_first_asked_for(caches):
    """Asking again for what waits does not move it back behind those that came later."""
    hold, cache = threading.Event(), caches.make(100, loads_at_once=1)
    asked = [caches.request(cache, key, 10, hold) for key in ("first", "second", "third", "second")]
    hold.set()
    for future in asked:
        future.result(WAIT_S).release()
    assert caches.loads == ["first", "second", "third"]


def test_impatient_request_has_its_room_before_its_loader(caches):
    """Who must not wait for room takes it at once, although another load runs: what comes later is refused."""
    hold, cache = threading.Event(), caches.make(100, loads_at_once=1)
    first, second = (
        cache.request(key, caches.loader(key, 40, hold), Footprint.of(40), is_patient=False) for key in "ab"
    )
    with pytest.raises(CacheBusy, match="c takes 40 bytes"):
        cache.request("c", caches.loader("c", 40), Footprint.of(40), is_patient=False).result(WAIT_S)
    hold.set()
    first.result(WAIT_S).release()
    second.result(WAIT_S).release()


def test_peak_is_reserved_while_loading(caches):
    """During a load its peak counts, afterwards what was measured."""
    hold = threading.Event()
    cache = caches.make(100)
    future = cache.request("a", caches.loader("a", 30, hold), Footprint.of(30, peak_bytes=90))
    assert cache.stats().used_bytes == 90
    waiting = caches.request(cache, "b", 40)
    assert not waiting.done()
    hold.set()
    future.result(WAIT_S).release()
    waiting.result(WAIT_S).release()
    assert cache.stats().used_bytes == 70


def test_measured_more_than_predicted_evicts_the_idle(caches):
    """A load that turns out larger makes the cache keep its budget by evicting what is idle."""
    cache = caches.make(100)
    caches.use(cache, "a", 30)
    caches.use(cache, "b", 30)
    with caches.lease(cache, "c", 60, predicted=20):
        assert cache.keys() == ["b", "c"]
        assert cache.stats().evicted_bytes == 30


def test_measured_more_than_the_budget_is_given_back(caches):
    """A load that turns out larger than the whole budget is closed, refused, and evicts nobody."""
    cache = caches.make(100)
    caches.use(cache, "a", 30)
    with pytest.raises(CacheTooSmall, match="big takes 500 bytes"):
        caches.lease(cache, "big", 500, predicted=20)
    assert cache.keys() == ["a"]
    cache.close()
    assert cache.stats().used_bytes == 0


def test_stampede_shares_one_load(caches):
    """32 threads that want one cold key get one load and the same value."""
    hold, cache = threading.Event(), caches.make()
    futures: list[Future] = []
    with ThreadPoolExecutor(32) as pool:
        asked = [pool.submit(caches.request, cache, "a", 40, hold) for _ in range(32)]
        futures = [one.result(WAIT_S) for one in asked]
    hold.set()
    leases = [future.result(WAIT_S) for future in futures]
    assert caches.loads == ["a"]
    assert len({id(lease.value) for lease in leases}) == 1
    assert (cache.stats().misses, cache.stats().shared) == (1, 31)
    for lease in leases:
        lease.release()
    assert cache.stats().leased == 0


def test_loads_of_different_keys_run_side_by_side(caches):
    """Two loads that wait for each other both end: neither holds the other up."""
    cache, both = caches.make(), threading.Barrier(2)

    def load() -> Value:
        both.wait(WAIT_S)
        return Value(10)

    futures = [cache.request(key, load, Footprint.of(10)) for key in "ab"]
    for future in futures:
        future.result(WAIT_S).release()
    assert cache.keys() == ["a", "b"]


def test_hit_is_answered_beside_a_load(caches):
    """What is loaded is leased at once while another loads."""
    hold, cache = threading.Event(), caches.make()
    caches.use(cache, "a")
    loading = caches.request(cache, "b", 40, hold)
    assert caches.request(cache, "a", 40).done()
    hold.set()
    loading.result(WAIT_S)


def test_waiter_that_leaves_cancels_nothing(caches):
    """One of two waiters leaves: the load goes on, the other gets its lease, and no lease is left over."""
    hold, cache = threading.Event(), caches.make()
    first, second = caches.request(cache, "a", 40, hold), caches.request(cache, "a", 40)
    abandon(first)
    hold.set()
    second.result(WAIT_S).release()
    assert caches.loads == ["a"]
    assert cache.stats().leased == 0


def test_last_waiter_leaves_a_load_that_has_begun(caches):
    """The load ends all the same, and its value is kept for the next request."""
    hold, cache = threading.Event(), caches.make()
    abandon(caches.request(cache, "a", 40, hold))
    hold.set()
    caches.use(cache, "a")
    assert caches.loads == ["a"]


def test_abandoned_lease_that_was_granted_is_given_back(caches):
    """Leaving after the lease was granted gives it back; leaving a failed wait does nothing."""
    cache = caches.make()
    granted = caches.request(cache, "a", 40)
    granted.result(WAIT_S)
    abandon(granted)
    assert cache.stats().leased == 0
    abandon(cache.request("big", caches.loader("big", 1), Footprint.of(1000)))


def test_failure_reaches_all_and_is_remembered(caches):
    """All waiters get the load's own error; so does who asks within the failure's memory; then it is tried again."""
    cache = caches.make(failure_memory_s=5.0)
    hold, attempts = threading.Event(), []

    def fail() -> Value:
        attempts.append(1)
        assert hold.wait(WAIT_S)
        raise ValueError("broken model")

    futures = [cache.request("a", fail, Footprint.of(40)) for _ in range(3)]
    hold.set()
    for future in futures:
        with pytest.raises(ValueError, match="broken model"):
            future.result(WAIT_S)
    caches.clock.now_s += 4.9
    with pytest.raises(ValueError, match="broken model"):
        caches.lease(cache, "a")
    assert len(attempts) == 1
    assert cache.stats().used_bytes == 0
    caches.clock.now_s += 0.1
    caches.use(cache, "a")


def test_failure_evicts_for_nobody_else(caches):
    """After a failed load its reservation is free for those who wait."""
    cache, hold = caches.make(50), threading.Event()

    def fail() -> Value:
        assert hold.wait(WAIT_S)
        raise MemoryError

    failing = cache.request("a", fail, Footprint.of(50))
    waiting = caches.request(cache, "b", 40)
    hold.set()
    with pytest.raises(MemoryError):
        failing.result(WAIT_S)
    waiting.result(WAIT_S).release()


def test_pinned_is_never_evicted(caches):
    """A pinned key stays whatever else is asked for, and counts against what could ever fit; retiring unpins it."""
    cache = caches.make(100)
    cache.pin("a")
    for key in "abcd":
        caches.use(cache, key)
    assert cache.keys()[0] == "a"
    with pytest.raises(CacheTooSmall, match="pinned models take 40"):
        caches.lease(cache, "big", 61)
    cache.retire("a").result(WAIT_S)
    caches.use(cache, "big", 62)


def test_retired_is_closed_when_its_last_lease_ends(caches):
    """After `retire` those in flight keep their value, new requests load anew, and the end is told with the bytes."""
    cache = caches.make(100)
    old = caches.lease(cache, "a")
    closed = cache.retire("a")
    with caches.lease(cache, "a") as new:
        assert new.value is not old.value
    assert not closed.done()
    old.release()
    assert closed.result(WAIT_S) == 40
    assert old.value.is_closed
    assert cache.keys() == ["a"]


def test_retire_of_what_is_not_there_says_so(caches):
    """Retiring an unknown key returns None; one that waits for room is dropped and its waiters are told."""
    cache = caches.make(50)
    assert cache.retire("a") is None
    with caches.lease(cache, "a"):
        waiting = caches.request(cache, "b", 40)
        assert cache.retire("b").result(WAIT_S) == 0
        with pytest.raises(CacheClosed, match="unloaded before it was loaded"):
            waiting.result(WAIT_S)


@pytest.mark.parametrize("is_broken", [False, True])
def test_retire_during_the_load_closes_after_it(caches, is_broken):
    """A load that is retired half-way ends, answers those who asked before, and is closed; or fails and is gone."""
    hold, cache = threading.Event(), caches.make()

    def load() -> Value:
        assert hold.wait(WAIT_S)
        if is_broken:
            raise ValueError("broken")
        return Value(40)

    asked = cache.request("a", load, Footprint.of(40))
    closed = cache.retire("a")
    hold.set()
    if is_broken:
        with pytest.raises(ValueError, match="broken"):
            asked.result(WAIT_S)
    else:
        asked.result(WAIT_S).release()
    assert closed.result(WAIT_S) == (0 if is_broken else 40)
    assert cache.stats().used_bytes == 0


def test_close_refuses_waiters_and_spares_those_in_use(caches):
    """Closing frees the idle, refuses who waits or asks later, and frees what is in use or loading when that ends."""
    cache = caches.make(100)
    caches.use(cache, "idle", 10)
    used = caches.lease(cache, "used", 40)
    hold = threading.Event()
    loading = caches.request(cache, "loading", 40, hold)
    waiting = caches.request(cache, "waiting", 60)
    cache.close()
    for refused in (waiting, caches.request(cache, "late", 1)):
        with pytest.raises(CacheClosed):
            refused.result(WAIT_S)
    assert not used.value.is_closed
    hold.set()
    loading.result(WAIT_S).release()
    used.release()
    assert used.value.is_closed
    assert cache.stats().used_bytes == 0


def test_executor_that_is_shut_down_settles_all(caches):
    """With no thread to load in, the request fails and what was chosen to make room is closed, not lost."""
    cache = caches.make(50)
    caches.use(cache, "a")
    caches.pool.shutdown(wait=True)
    with pytest.raises(CacheClosed, match="stopping"):
        caches.lease(cache, "b")
    assert cache.stats().used_bytes == 0


def test_close_that_fails_frees_its_room(caches, caplog):
    """A value that cannot be closed is logged, and the cache goes on without it."""

    def fail(_: Value) -> int:
        raise OSError("device gone")

    cache = caches.make(50, close_value=fail)
    caches.use(cache, "a")
    caches.use(cache, "b")
    assert cache.keys() == ["b"]
    assert "close_failed" in caplog.text


def test_repr_tells_the_state(caches):
    """Whoever prints the cache sees what it holds and in which state."""
    hold, cache = threading.Event(), caches.make(100)
    with caches.lease(cache, "a"):
        loading = caches.request(cache, "b", 40, hold)
        caches.request(cache, "c", 40)
        assert repr(cache).startswith(
            "MemoryCache(80 of 100 bytes; a: ready, 40 bytes, 1 leases; b: loading, 40 bytes;"
        )
        assert repr(cache).endswith("; c: waiting)")
        hold.set()
        loading.result(WAIT_S).release()


def test_impatient_request_is_refused_while_all_is_in_use(caches):
    """Who would have to wait for a release is told so at once; room that eviction makes is taken as ever."""
    cache = caches.make(50)
    used = caches.lease(cache, "a")
    refused = cache.request("b", caches.loader("b", 40), Footprint.of(40), is_patient=False)
    with pytest.raises(CacheBusy, match="in use"):
        refused.result(WAIT_S)
    used.release()
    cache.request("b", caches.loader("b", 40), Footprint.of(40), is_patient=False).result(WAIT_S).release()
    assert cache.keys() == ["b"]
