"""CPU time and memory of a process and all it has started, from /proc. Knows no server."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SAMPLE_S = 0.25


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree used between two looks at it. CPU includes children that ended meanwhile."""

    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a whole tree. Peak resident counts pages shared by several processes once each; PSS counts them once."""

    peak_resident_bytes: int
    proportional_bytes: int


def tree(root: int) -> list[int]:
    """`root` and its descendants that run now; empty when it has ended."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root] if _stat(root) else []
    for pid in found:  # grows while it is walked
        found.extend(children.get(pid, []))
    return found


def cpu_s(root: int) -> float:
    """User and system seconds of the tree, with those of descendants that were waited for."""
    stats = (_stat(pid) for pid in tree(root))
    return sum(sum(int(value) for value in fields[11:15]) for fields in stats if fields) / TICKS_PER_S


def resident_bytes(root: int) -> int:
    """Resident set of the tree, summed."""
    texts = (_read(pid, "statm") for pid in tree(root))
    return sum(int(text.split()[1]) for text in texts if text) * PAGE_BYTES


def proportional_bytes(root: int) -> int:
    """Proportional set of the tree; 0 where the kernel does not let this user read it."""
    lines = (line for pid in tree(root) for line in (_read(pid, "smaps_rollup") or "").splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (state) on; empty when the process is gone."""
    text = _read(pid, "stat")
    return text.rpartition(")")[2].split() if text else []


def _read(pid: int, name: str) -> str | None:
    try:
        return (PROC / str(pid) / name).read_text()
    except OSError:
        return None


class ProcessWatch:
    """Watches a tree's resident memory from a thread while the block runs; says what it used since the last look."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="process-watch", daemon=True)
        self._last = (cpu_s(root), time.monotonic())

    def __enter__(self) -> "ProcessWatch":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def begin(self) -> None:
        """What follows counts from now."""
        self._last = (cpu_s(self._root), time.monotonic())

    def usage(self) -> Usage:
        """CPU and wall seconds since `begin`."""
        cpu, at = self._last
        return Usage(cpu_s=max(0.0, cpu_s(self._root) - cpu), wall_s=max(time.monotonic() - at, 1e-9))

    def memory(self) -> Memory:
        """Peak resident bytes so far, and the proportional set now."""
        return Memory(max(self._peak, resident_bytes(self._root)), proportional_bytes(self._root))

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE_S):
            self._peak = max(self._peak, resident_bytes(self._root))
