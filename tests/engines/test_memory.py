"""Pages of a mapped file that are dropped, and when its mappings may come and go."""

import mmap
import threading
from pathlib import Path

from absa_server.engines.memory import forget_pages, mapping_lock

FILE_BYTES = 4 << 20
WAIT_S = 20


def _resident_bytes(file: Path) -> int:
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
