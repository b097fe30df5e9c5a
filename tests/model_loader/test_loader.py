"""Models by name over a real folder as store, a real disk cache and a real memory cache; what is loaded is a string."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model_loader import (
    ArtifactMissing,
    CacheClosed,
    DeadlineExceeded,
    DirectorySource,
    DiskCache,
    Footprint,
    Loader,
    MemoryCache,
    NameInvalid,
    StoreUnavailable,
    abandon,
)
from model_loader.delivery import DeliveryOptions
from model_loader.loader import LoaderOptions

WAIT_S = 20
TTL_S = 60.0
PARALLEL = 2


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Store:
    """A folder as store that counts what it is asked, and can be made not to answer."""

    def __init__(self, root: Path) -> None:
        self.folders = DirectorySource(root)
        self.root = root
        self.resolved: list[str] = []
        self.fetched: list[str] = []
        self.is_down = False
        self.gate = threading.Event()
        self.gate.set()

    def put(self, name: str, text: str) -> None:
        (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / name / "model.txt").write_text(text)

    def resolve(self, name, *, deadline):
        self.resolved.append(name)
        if self.is_down:
            raise StoreUnavailable("the store does not answer")
        return self.folders.resolve(name, deadline=deadline)

    def fetch(self, version, into, *, limits, deadline):
        self.fetched.append(version.name)
        assert self.gate.wait(WAIT_S)
        return self.folders.fetch(version, into, limits=limits, deadline=deadline)


class World:
    """A loader, its store and its caches. A text with "broken" in it cannot be loaded."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.store = Store(folder / "store")
        self.store.root.mkdir()
        self.pool = ThreadPoolExecutor(4)
        self.loads: list[str] = []
        self.closed: list[str] = []
        self.disk = DiskCache(folder / "disk", free_floor_bytes=0)
        self.memory: MemoryCache[str] = MemoryCache(
            100,
            executor=self.pool,
            loads_at_once=4,
            size_of=lambda _: 40,
            close_value=self.close_value,
            clock=self.clock,
        )
        self.loader = Loader(
            self.store,
            self.disk,
            self.memory,
            load=self.load,
            footprint_of=lambda _: Footprint.of(40),
            executor=self.pool,
            options=LoaderOptions(ttl_s=TTL_S, delivery=DeliveryOptions(parallel_fetches=PARALLEL)),
            clock=self.clock,
        )

    def load(self, folder: Path) -> str:
        text = (folder / "model.txt").read_text()
        self.loads.append(text)
        if "broken" in text:
            raise ValueError(text)
        return text

    def close_value(self, text: str) -> int:
        self.closed.append(text)
        return 40

    def ask(self, name: str) -> str:
        with self.loader.request(name).result(WAIT_S) as lease:
            return lease.value

    def settle(self) -> None:
        """Waits until all background work that was begun is over."""
        for _ in range(3):  # a check may start a load, and that a closing
            barrier = threading.Barrier(5)
            for _ in range(4):
                self.pool.submit(barrier.wait, WAIT_S)
            barrier.wait(WAIT_S)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.store.gate.set()
    made.loader.close()
    made.memory.close()
    made.pool.shutdown(wait=True)


def test_request_brings_a_model_once(world):
    """A cold model is looked up, fetched and loaded; a warm one asks nobody."""
    world.store.put("a", "one")
    assert [world.ask("a"), world.ask("a")] == ["one", "one"]
    assert (world.store.resolved, world.store.fetched, world.loads) == (["a"], ["a"], ["one"])


def test_stampede_is_one_fetch_and_one_load(world):
    """32 requests for one cold model: one look-up, one fetch, one load."""
    world.store.put("a", "one")
    world.store.gate.clear()
    futures = [world.loader.request("a") for _ in range(32)]
    world.store.gate.set()
    leases = [future.result(WAIT_S) for future in futures]
    assert {lease.value for lease in leases} == {"one"}
    assert (world.store.resolved, world.store.fetched, world.loads) == (["a"], ["a"], ["one"])
    for lease in leases:
        lease.release()
    assert world.memory.stats().leased == 0


def test_caller_that_leaves_cancels_nothing(world):
    """One of two callers leaves while the model is fetched: the other is answered, no lease is left over."""
    world.store.put("a", "one")
    world.store.gate.clear()
    first, second = world.loader.request("a"), world.loader.request("a")
    abandon(first)
    world.store.gate.set()
    second.result(WAIT_S).release()
    world.settle()
    assert world.memory.stats().leased == 0


def test_evicted_model_comes_from_disk(world):
    """A model that left memory is loaded again without asking the store for its bytes."""
    for name in "abc":
        world.store.put(name, name)
        world.ask(name)
    assert world.ask("a") == "a"
    assert world.store.fetched == ["a", "b", "c"]
    assert world.loads == ["a", "b", "c", "a"]


def test_replaced_model_is_swapped_between_requests(world):
    """After the TTL the new version loads beside the old one; who holds the old one keeps it to the end."""
    world.store.put("a", "old")
    held = world.loader.request("a").result(WAIT_S)
    world.store.put("a", "new version")
    world.clock.now_s += TTL_S - 0.1
    assert world.ask("a") == "old"
    assert world.store.resolved == ["a"]
    world.clock.now_s += 0.2
    assert world.ask("a") == "old"
    world.settle()
    assert world.ask("a") == "new version"
    assert world.closed == []
    held.release()
    world.settle()
    assert world.closed == ["old"]
    assert world.disk.stats().entries == 1
    assert world.loader.stats().replacements == 1


def test_unchanged_model_is_only_asked_for(world):
    """A check that finds the same version loads nothing, and the next one is due a TTL later."""
    world.store.put("a", "one")
    world.ask("a")
    world.clock.now_s += TTL_S
    for _ in range(5):
        world.ask("a")
        world.settle()
    assert (len(world.store.resolved), len(world.loads)) == (2, 1)


def test_broken_new_version_keeps_the_old_one(world, caplog):
    """A new version that does not load is told once and not tried again; the old one answers; a good one then swaps."""
    world.store.put("a", "old")
    world.ask("a")
    world.store.put("a", "broken")
    for _ in range(3):
        world.clock.now_s += TTL_S
        assert world.ask("a") == "old"
        world.settle()
    assert world.loads == ["old", "broken"]
    assert "model_replacement_failed" in caplog.text
    assert world.loader.stats().refused_replacements == 1
    world.store.put("a", "good again")
    world.clock.now_s += TTL_S
    world.ask("a")
    world.settle()
    assert world.ask("a") == "good again"


def test_store_that_is_down_keeps_what_is_known(world, caplog):
    """Without the store, loaded models answer, and those that left memory come from disk; unknown ones fail."""
    for name in "abc":
        world.store.put(name, name)
        world.ask(name)
    world.store.is_down = True
    world.clock.now_s += TTL_S
    assert [world.ask("c"), world.ask("a")] == ["c", "a"]
    world.settle()
    assert "model_check_failed" in caplog.text
    with pytest.raises(StoreUnavailable):
        world.ask("unknown")


def test_evicted_model_is_replaced_by_a_version_that_loads(world):
    """A model that left memory is looked up again after the TTL, and its new version answers at once."""
    for name in "abc":
        world.store.put(name, name)
        world.ask(name)
    world.store.put("a", "new version")
    world.clock.now_s += TTL_S
    assert world.ask("a") == "new version"
    assert world.loader.stats().replacements == 1


@pytest.mark.parametrize("callers", [1, 8])
def test_evicted_model_survives_a_broken_new_version(world, caplog, callers):
    """Its new version does not load: the old one answers from disk, all who wait; that is told and counted once."""
    for name in "abc":
        world.store.put(name, name)
        world.ask(name)
    world.store.put("a", "broken")
    world.clock.now_s += TTL_S
    futures = [world.loader.request("a") for _ in range(callers)]
    for future in futures:
        with future.result(WAIT_S) as lease:
            assert lease.value == "a"
    assert (world.loads.count("broken"), world.loader.stats().refused_replacements) == (1, 1)
    assert caplog.text.count("model_replacement_failed") == 1


def test_version_that_left_disk_and_store_is_replaced_within_the_ttl(world):
    """Neither memory nor disk nor store holds the known version any more: the store's present one answers."""
    world.store.put("a", "old")
    world.ask("a")
    for name in "bc":
        world.store.put(name, name)
        world.ask(name)
    shutil.rmtree(world.disk.root / "entries")
    (world.disk.root / "entries").mkdir()
    world.store.put("a", "new version")
    assert world.ask("a") == "new version"


def test_close_ends_a_download_under_way(world):
    """Whoever waits for a download when the loader closes is told that it was cancelled."""
    world.store.put("a", "one")
    world.store.gate.clear()
    future = world.loader.request("a")
    while not world.store.fetched:
        threading.Event().wait(0.001)
    world.loader.close()
    world.store.gate.set()
    with pytest.raises(DeadlineExceeded, match="cancelled"):
        future.result(WAIT_S)
    with pytest.raises(DeadlineExceeded):
        world.ask("b")


def test_no_more_fetches_side_by_side_than_allowed(world):
    """Of a crowd of cold models only some are fetched at a time: each fetch takes memory for its parts."""
    for name in "abcd":
        world.store.put(name, name)
    world.store.gate.clear()
    futures = [world.loader.request(name) for name in "abcd"]
    for future in futures:
        future.add_done_callback(lambda done: done.result().release())  # there is memory for two
    while len(world.store.resolved) < 4 or len(world.store.fetched) < PARALLEL:
        threading.Event().wait(0.001)
    assert len(world.store.fetched) == PARALLEL
    world.store.gate.set()
    for future in futures:
        future.result(WAIT_S)
    for name in "abcd":
        world.ask(name)
    assert world.loader.stats().fetches == 4
    assert world.loader.stats().disk_hits >= 2  # whichever two were in memory


def test_model_that_is_gone_ends_after_the_ttl(world):
    """A model deleted from the store answers until the next check, then it is missing; another takes its place."""
    world.store.put("a", "one")
    world.ask("a")
    shutil.rmtree(world.store.root / "a")
    world.clock.now_s += TTL_S
    assert world.ask("a") == "one"
    world.settle()
    with pytest.raises(ArtifactMissing):
        world.ask("a")
    assert world.closed == ["one"]


def test_failure_is_remembered_for_a_while(world):
    """A crowd that asks for a missing model asks the store once in five seconds; then it may have come."""
    for _ in range(10):
        with pytest.raises(ArtifactMissing):
            world.ask("a")
    assert world.store.resolved == ["a"]
    world.store.put("a", "one")
    world.clock.now_s += 5.0
    assert world.ask("a") == "one"


def test_artifact_that_does_not_load_is_told_with_its_reason(world):
    """The load's own error reaches all who asked, and is not tried again at once."""
    world.store.put("a", "broken")
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            world.ask("a")
    assert world.loads == ["broken"]


@pytest.mark.parametrize("name", ["", "..", "a/../b", "/a", "a\\b", "a\0b", "a//b", "x" * 1025])
def test_illegal_name_is_refused_at_once(world, name):
    """A name that could lead out of the store is refused before anybody is asked."""
    with pytest.raises(NameInvalid):
        world.loader.request(name)
    assert world.store.resolved == []


def test_object_replaced_while_it_is_fetched_is_fetched_again(world):
    """A version that changes under the download is thrown away, and the new one is brought: never a mix."""
    world.store.put("a", "old")
    world.store.gate.clear()
    future = world.loader.request("a")
    while not world.store.fetched:
        threading.Event().wait(0.001)
    world.store.put("a", "new version")
    world.store.gate.set()
    assert future.result(WAIT_S).value == "new version"
    assert world.disk.stats().entries == 1


def test_folder_deleted_under_us_is_fetched_again(world):
    """Cached files that somebody deleted are noticed at the next load."""
    for name in "abc":
        world.store.put(name, name)
        world.ask(name)
    shutil.rmtree(world.disk.root / "entries")
    (world.disk.root / "entries").mkdir()
    assert world.ask("a") == "a"
    assert world.store.fetched.count("a") == 2


def test_pinned_model_stays_and_its_new_version_too(world):
    """A pinned name is not evicted by others, neither before nor after it was replaced."""
    world.loader.pin("a")
    world.store.put("a", "old")
    world.ask("a")
    for name in "bcd":
        world.store.put(name, name)
        world.ask(name)
    assert world.loads.count("old") == 1
    world.store.put("a", "new version")
    world.clock.now_s += TTL_S
    world.memory.retire("unknown")
    world.ask("a")
    world.settle()
    for name in "bcd":
        world.ask(name)
    assert world.ask("a") == "new version"
    assert world.loads.count("new version") == 1


def test_closed_loader_refuses(world):
    """After the executor is gone a request fails with a word on why, and does not hang."""
    world.store.put("a", "one")
    world.pool.shutdown(wait=True)
    with pytest.raises(CacheClosed, match="stopping"):
        world.ask("a")
