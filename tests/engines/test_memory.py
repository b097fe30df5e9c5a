"""Pages of a mapped file that are dropped, and when its mappings may come and go."""

import ctypes
import mmap
import threading
from pathlib import Path

from absa_server.engines.memory import Pace, forget_pages, mapping_lock, return_free_memory

FILE_BYTES = 4 << 20
WAIT_S = 20


def _resident_bytes(file: Path | str) -> int:
    """Of this process's mappings of `file`, by the kernel's account."""
    rows = iter(Path("/proc/self/smaps").read_text().splitlines())
    total = 0
    for row in rows:
        if row.endswith(str(file)):
            total += next(int(one.split()[1]) for one in rows if one.startswith("Rss:")) << 10
    return total


def _mapped(file: Path) -> mmap.mmap:
    file.write_bytes(bytes(range(256)) * (FILE_BYTES // 256))
    with file.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)


def test_pages_leave_and_come_back_with_the_same_bytes(tmp_path: Path) -> None:
    """What was read is not resident any more, and reads the same again."""
    file = (tmp_path / "weights.bin").resolve()
    with _mapped(file) as mapping:
        before = bytes(mapping)
        assert _resident_bytes(file) == FILE_BYTES
        forget_pages(file)
        assert _resident_bytes(file) == 0
        assert bytes(mapping) == before


def test_pages_of_a_deleted_file_leave_as_well(tmp_path: Path) -> None:
    """The kernel tells its name differently then."""
    file = (tmp_path / "weights.bin").resolve()
    with _mapped(file) as mapping:
        file.unlink()
        before = bytes(mapping)
        assert _resident_bytes(f"{file} (deleted)") == FILE_BYTES
        forget_pages(file)
        assert _resident_bytes(f"{file} (deleted)") == 0
        assert bytes(mapping) == before


def test_pages_are_not_dropped_while_mappings_change(tmp_path: Path) -> None:
    """Whoever unmaps the file holds its lock; until it is given back nothing is dropped."""
    file = (tmp_path / "weights.bin").resolve()
    with _mapped(file) as mapping:
        assert mapping[-1] == 255
        with mapping_lock(file):
            dropping = threading.Thread(target=forget_pages, args=(file,))
            dropping.start()
            dropping.join(0.2)
            assert dropping.is_alive()
            forget_pages(file, waits=False)
            assert _resident_bytes(file) > 0
        dropping.join(WAIT_S)
        assert _resident_bytes(file) == 0


def test_locks_of_two_files_are_two(tmp_path: Path) -> None:
    """Models of different files load and unload side by side; two names of one file are one."""
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with mapping_lock(tmp_path / "a"):
        assert not mapping_lock(tmp_path / "link").acquire(blocking=False)
        other = mapping_lock(tmp_path / "b")
        assert other.acquire(blocking=False)
        other.release()


def test_pace_tells_once_in_its_seconds() -> None:
    """At once, then when they have passed since it was told, however often it is asked."""
    now = [100.0]
    pace = Pace(2.0, clock=lambda: now[0])
    told = []
    for now[0] in (100.0, 100.1, 101.9, 102.0, 102.1, 110.0, 111.9, 112.0):
        told.append(pace.is_due())
    assert told == [True, False, False, True, False, True, False, True]


def test_holes_in_the_heap_are_given_back() -> None:
    """What was freed below something that stays is resident until it is asked for."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    size, count = 32 << 10, 2048
    blocks = [libc.malloc(ctypes.c_size_t(size)) for _ in range(count)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    for block in blocks[:-1]:
        libc.free(ctypes.c_void_p(block))
    before = _anonymous_bytes()
    return_free_memory()
    assert _anonymous_bytes() < before - size * count // 2
    libc.free(ctypes.c_void_p(blocks[-1]))


def _anonymous_bytes() -> int:
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return next(int(row.split()[1]) << 10 for row in rollup.splitlines() if row.startswith("Anonymous:"))
