"""The disk cache with real folders, real threads and real processes."""

import errno
import itertools
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model_loader.disk_cache import DiskCache
from model_loader.errors import CacheBusy, CacheTooSmall, DiskFull

KIB = 1024
# One entry of `fill_with(64)`: 64 KiB of file and the content folder's own block or two.
ENTRY = 64 * KIB


def fill_with(kib: int, text: bytes = b"x"):
    def fill(folder: Path) -> None:
        (folder / "model.bin").write_bytes(text * (kib * KIB))

    return fill


def never(_: Path) -> None:
    raise AssertionError("filled again")


def counting_clock():
    ticks = itertools.count(1_000_000)
    return lambda: float(next(ticks))


@pytest.fixture
def cache(tmp_path):
    return DiskCache(tmp_path / "cache", free_floor_bytes=0, clock=counting_clock())


def small_cache(tmp_path, entries: int, **options) -> DiskCache:
    """A cache with room for `entries` entries of 64 KiB, and their folders, not one more."""
    budget = entries * (ENTRY + 8 * KIB)
    return DiskCache(tmp_path / "cache", budget_bytes=budget, free_floor_bytes=0, clock=counting_clock(), **options)


def use(cache: DiskCache, key: str, kib: int = 64) -> bool:
    """Leases and releases; whether it had to be filled."""
    filled = []

    def fill(folder: Path) -> None:
        filled.append(folder)
        fill_with(kib)(folder)

    cache.lease(key, fill).release()
    return bool(filled)


def test_lease_fills_once_and_keeps(cache):
    """The first lease of a key fills it, later ones find the same files."""
    with cache.lease("a", fill_with(1, b"a")) as lease:
        assert (lease.path / "model.bin").read_bytes() == b"a" * KIB
    with cache.lease("a", never) as lease:
        assert (lease.path / "model.bin").read_bytes() == b"a" * KIB
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.fills, stats.entries) == (1, 1, 1, 1)


@pytest.mark.parametrize("key", ["", "a/../../b", "/etc/passwd", "x" * 5000, "naïve \0 key", "a\udcff"])
def test_lease_takes_any_key(cache, key):
    """A key is any text: its folder lies inside the cache, whatever the key holds."""
    with cache.lease(key, fill_with(1)) as lease:
        assert lease.path.resolve().is_relative_to(cache.root.resolve())
    assert not use(cache, key)


def test_lease_fills_once_for_many_threads(cache):
    """32 threads that want one missing key share one fill."""
    fills = []
    all_wait = threading.Barrier(32)

    def fill(folder: Path) -> None:
        fills.append(folder)
        fill_with(64)(folder)

    def lease() -> int:
        all_wait.wait(timeout=20)
        with cache.lease("a", fill) as held:
            return (held.path / "model.bin").stat().st_size

    with ThreadPoolExecutor(32) as pool:
        sizes = [future.result(timeout=20) for future in [pool.submit(lease) for _ in range(32)]]
    assert sizes == [ENTRY] * 32
    assert len(fills) == 1
    assert list((cache.root / "filling").iterdir()) == []


PROCESS = """
import sys
from pathlib import Path
from model_loader.disk_cache import DiskCache
root, journal, doing = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
cache = DiskCache(root, free_floor_bytes=0)
def fill(folder):
    (folder / "half").write_bytes(b"h" * 65536)
    with journal.open("a") as lines:
        lines.write("filled\\n")
    if doing == "hang":
        print("filling", flush=True)
        sys.stdin.read()
lease = cache.lease("a", fill)
print("leased", flush=True)
sys.stdin.read()
"""


def start(tmp_path: Path, doing: str) -> subprocess.Popen:
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "cache"), str(tmp_path / "journal"), doing]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def processes():
    """Whatever a test starts is ended and reaped."""
    started = []
    yield started
    for process in started:
        process.kill()
        process.wait(timeout=10)
        process.stdin.close()
        process.stdout.close()


def test_lease_fills_once_for_many_processes(tmp_path, processes):
    """Four processes that want one missing key share one fill, and all lease it at the same time."""
    processes.extend(start(tmp_path, "lease") for _ in range(4))
    assert [process.stdout.readline() for process in processes] == ["leased\n"] * 4
    assert (tmp_path / "journal").read_text() == "filled\n"


def test_eviction_spares_what_another_process_leases(tmp_path, processes):
    """An entry is not evicted while another process leases it, and is once that process has died."""
    processes.append(start(tmp_path, "lease"))
    assert processes[0].stdout.readline() == "leased\n"
    cache = small_cache(tmp_path, 1)
    with pytest.raises(CacheBusy, match="1 of 1 entries are in use"):
        use(cache, "b")
    processes[0].kill()
    processes[0].wait(timeout=10)
    assert use(cache, "b")
    assert cache.stats().entries == 1


def test_killed_process_leaves_nothing(tmp_path, processes):
    """What a process was filling when it was killed is deleted by the next; a waiting one fills in its place."""
    processes.append(start(tmp_path, "hang"))
    assert processes[0].stdout.readline() == "filling\n"
    running = DiskCache(tmp_path / "cache", free_floor_bytes=0)
    assert len(list((tmp_path / "cache" / "temporary").iterdir())) == 1, "a living process keeps its own"
    processes[0].send_signal(signal.SIGKILL)
    processes[0].wait(timeout=10)
    with running.lease("a", fill_with(1)) as lease:
        assert sorted(file.name for file in lease.path.iterdir()) == ["model.bin"]
    assert list((tmp_path / "cache" / "temporary").iterdir()) == []
    assert list((tmp_path / "cache" / "filling").iterdir()) == []


def test_cache_survives_restart(tmp_path):
    """Entries, their sizes and the order of their use outlive the process."""
    first = small_cache(tmp_path, 3)
    for key in "abc":
        use(first, key)
    assert not use(first, "a")
    again = DiskCache(first.root, budget_bytes=first.budget_bytes, free_floor_bytes=0, clock=lambda: 2_000_000.0)
    assert again.stats().used_bytes == first.stats().used_bytes
    assert use(again, "d"), "evicts b, the least recently used"
    assert [use(again, key) for key in "acdb"] == [False, False, False, True]


def test_restart_with_smaller_budget_evicts(tmp_path):
    """A cache opened with a smaller budget than it holds keeps the most recently used."""
    first = small_cache(tmp_path, 3)
    for key in "abc":
        use(first, key)
    again = small_cache(tmp_path, 1)
    assert again.stats().entries == 1
    assert not use(again, "c")


def test_eviction_is_least_recently_used(tmp_path):
    """The entry used longest ago goes first, a hit counts as a use, and the counts say so."""
    cache = small_cache(tmp_path, 2)
    use(cache, "a")
    use(cache, "b")
    use(cache, "a")
    use(cache, "c")
    assert not use(cache, "a")
    stats = cache.stats()
    assert (stats.evictions, stats.entries) == (1, 2)
    assert stats.evicted_bytes >= ENTRY
    assert stats.age_at_eviction_s > 0


def test_budget_counts_disk_blocks(tmp_path):
    """Many tiny files are counted by the blocks they take, not by their lengths."""
    cache = DiskCache(tmp_path / "cache", free_floor_bytes=0)

    def fill(folder: Path) -> None:
        for number in range(50):
            (folder / f"{number}").write_bytes(b"x")

    with cache.lease("a", fill) as lease:
        blocks = sum(file.stat().st_blocks for file in lease.path.iterdir()) * 512
    assert cache.stats().used_bytes >= blocks


def test_lease_larger_than_budget_is_refused(tmp_path):
    """What exceeds the whole budget is refused, evicts nobody and leaves nothing; a smaller one then fits."""
    cache = small_cache(tmp_path, 2)
    use(cache, "a")
    with pytest.raises(CacheTooSmall, match="the whole cache may take"):
        use(cache, "big", 200)
    assert not use(cache, "a")
    assert list((cache.root / "temporary").iterdir()) == []
    assert use(cache, "b")


def test_expected_bytes_refuse_before_the_fill(tmp_path):
    """A fill that is known not to fit is not begun, and evicts nobody."""
    cache = small_cache(tmp_path, 2)
    use(cache, "a")
    with pytest.raises(CacheTooSmall):
        cache.lease("big", never, expected_bytes=cache.budget_bytes + 1)
    assert not use(cache, "a")


def test_leased_entries_make_the_cache_busy(tmp_path):
    """When all is leased a new entry is refused and evicts nobody; after a release it fits."""
    cache = small_cache(tmp_path, 2)
    first, second = cache.lease("a", fill_with(64)), cache.lease("b", fill_with(64))
    with pytest.raises(CacheBusy, match="2 of 2 entries are in use"):
        use(cache, "c")
    assert (first.path / "model.bin").is_file()
    first.release()
    first.release()
    assert use(cache, "c")
    assert not use(cache, "b")
    second.release()


def test_failing_fill_leaves_nothing(cache):
    """A fill that raises leaves no entry and no temporary folder; its own error reaches the caller; the next fills."""

    def fail(folder: Path) -> None:
        (folder / "half").write_bytes(b"half")
        raise ValueError("broken archive")

    with pytest.raises(ValueError, match="broken archive"):
        cache.lease("a", fail)
    assert list((cache.root / "temporary").iterdir()) == []
    assert list((cache.root / "entries").iterdir()) == []
    assert cache.stats().fill_failures == 1
    assert use(cache, "a")


def test_waiter_fills_after_a_failed_fill(cache):
    """Whoever waited for a fill that failed fills itself."""
    filling, fail_now = threading.Event(), threading.Event()

    def fail(_: Path) -> None:
        filling.set()
        assert fail_now.wait(timeout=20)
        raise ValueError("first")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.lease, "a", fail)
        assert filling.wait(timeout=20)
        second = pool.submit(cache.lease, "a", fill_with(1))
        fail_now.set()
        with pytest.raises(ValueError, match="first"):
            first.result(timeout=20)
        second.result(timeout=20).release()


@pytest.mark.parametrize("wrapped", [False, True])
def test_full_disk_is_told_as_such(cache, wrapped):
    """ENOSPC inside a fill, bare or as another error's cause, becomes DiskFull and leaves nothing."""

    def fail(_: Path) -> None:
        full = OSError(errno.ENOSPC, "No space left on device")
        raise (RuntimeError("could not unpack") if wrapped else full) from full

    with pytest.raises(DiskFull, match="no space left"):
        cache.lease("a", fail)
    assert list((cache.root / "temporary").iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_really_full_disk_is_told_as_such(tmp_path):
    """On a file system that is really full (/dev/full) the write fails and nothing is left."""
    cache = DiskCache(tmp_path / "cache", free_floor_bytes=0)
    with pytest.raises(DiskFull):
        cache.lease("a", lambda _: Path("/dev/full").write_bytes(b"x"))
    assert cache.stats().entries == 0


def test_floor_of_free_space_is_kept(tmp_path):
    """With less free than the floor, nothing is added and the refusal tells both figures."""
    free = shutil.disk_usage(tmp_path).free
    cache = DiskCache(tmp_path / "cache", free_floor_bytes=2 * free)
    with pytest.raises(DiskFull, match="kept free"):
        use(cache, "a")
    assert cache.stats().entries == 0


def test_floor_evicts_what_is_idle(tmp_path):
    """Entries that others' data has pushed below the floor are evicted when the cache is opened."""
    roomy = DiskCache(tmp_path / "cache", free_floor_bytes=0)
    use(roomy, "a")
    tight = DiskCache(tmp_path / "cache", free_floor_bytes=2 * shutil.disk_usage(tmp_path).free)
    assert tight.stats().entries == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "content" / "model.bin").write_bytes(b"short"),
        lambda entry: (entry / "content" / "model.bin").unlink(),
        lambda entry: (entry / "content" / "new").write_bytes(b""),
        lambda entry: (entry / "entry.json").write_text("{"),
        lambda entry: (entry / "entry.json").write_text("[]"),
        lambda entry: (entry / "entry.json").write_text('{"key": 1}'),
        lambda entry: (entry / "entry.json").unlink(),
        lambda entry: shutil.rmtree(entry / "content"),
        shutil.rmtree,
    ],
    ids=["truncated", "missing", "added", "torn record", "other record", "old record", "no record", "empty", "gone"],
)
def test_damaged_entry_is_filled_again(cache, damage):
    """An entry that is not what was put there is never leased: it is filled again, and counted once."""
    use(cache, "a")
    (entry,) = (cache.root / "entries").iterdir()
    damage(entry)
    assert use(cache, "a")
    assert not use(cache, "a")
    assert cache.stats().entries == 1


def test_damage_under_a_lease_is_repaired_in_place(cache):
    """A lease does not block the repair: its path leads to the new files afterwards."""
    with cache.lease("a", fill_with(1)) as lease:
        (lease.path / "model.bin").unlink()
        assert use(cache, "a", 1)
        assert (lease.path / "model.bin").stat().st_size == KIB


def test_forget_deletes_what_is_idle(cache):
    """A forgotten key is filled again; a leased one stays; an unknown one is no error."""
    with cache.lease("a", fill_with(1)):
        assert not cache.forget("a")
        assert not use(cache, "a")
    assert cache.forget("a")
    assert cache.forget("unknown")
    assert use(cache, "a")


def test_storm_of_threads_keeps_the_budget(tmp_path):
    """Eight threads over twelve keys and room for four: every lease reads its own content, nothing is left over."""
    cache = DiskCache(tmp_path / "cache", budget_bytes=9 * 8 * KIB, free_floor_bytes=0)

    def work(seed: int) -> None:
        for step in range(40):
            key = f"{(seed * 7 + step * 5) % 12}"
            try:
                with cache.lease(key, fill_with(4, key[:1].encode())) as lease:
                    assert (lease.path / "model.bin").read_bytes() == key[:1].encode() * 4 * KIB
            except CacheBusy:
                continue

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work, seed) for seed in range(8)]:
            future.result(timeout=60)
    stats = cache.stats()
    assert stats.used_bytes <= cache.budget_bytes
    assert stats.evictions > 0
    assert stats.damaged == 0
    assert list((cache.root / "temporary").iterdir()) == []
    assert list((cache.root / "filling").iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc on this system")
def test_cache_leaks_no_open_files(cache):
    """After leases, failures and evictions this process has no more files open than before."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for key in "abc":
        use(cache, key, 1)
    with pytest.raises(ValueError, match="no"):
        cache.lease("d", lambda _: (_ for _ in ()).throw(ValueError("no")))
    cache.forget("a")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
