"""Memory given back to the system: pages of mapped files, and what the C allocator keeps. Knows no engine."""

import ctypes
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

_MADV_DONTNEED = 4
_MAPS = Path("/proc/self/maps")
# glibc's malloc.h. Buffers above a MB are mapped on their own, and returned when freed (above 64 KiB: no less memory);
# two arenas for all threads leave fewer holes than eight a core. Measured over 400 random shapes: 574 MB resident in
# place of 630. Without fast bins, which large frees merge again and again, a network is freed in 16 ms in place of 21.
# M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX, M_MXFAST
_ALLOCATOR = {-1: 128 * 1024, -3: 1024 * 1024, -8: 2, 1: 0}
# Kernels that come and go leave holes, a tenth of what is resident after a while. Looking for them takes 0.4 ms where
# there are none, 3 ms where there are many.
_TRIM_S = 2.0

_registry_lock = threading.Lock()
_mapping_locks: WeakValueDictionary[Path, threading.Lock] = WeakValueDictionary()


def mapping_lock(file: Path) -> threading.Lock:
    """Whoever maps or unmaps `file` holds this lock meanwhile.

    Else `forget_pages` could find a mapping that is undone before its pages are dropped; and what had been mapped at
    its address since, another thread's numbers perhaps, would become zeros.
    """
    with _registry_lock:
        return _mapping_locks.setdefault(file.resolve(), threading.Lock())


def forget_pages(file: Path, *, waits: bool = True) -> None:
    """Drops the resident pages of this process's mappings of `file`; those that are used again are read again.

    OpenVINO maps a network's weights and rearranges most of them for the CPU. The pages it has read stay in this
    process's resident memory, although only the embeddings are looked at again. Does nothing where the mappings are not
    told; leaves alone those that may be written to. While `file` is mapped or unmapped it waits, or does nothing.
    """
    lock = mapping_lock(file)
    if not lock.acquire(blocking=waits):
        return
    try:
        lines = _MAPS.read_text().splitlines()
        advise = ctypes.CDLL(None).madvise
        path = str(file.resolve())
        told = (path, f"{path} (deleted)")  # a model stays mapped when its files are evicted from disk
        for fields in (line.split(maxsplit=5) for line in lines if line.endswith(told)):
            if len(fields) == 6 and fields[5] in told and "w" not in fields[1]:
                start, end = (int(address, 16) for address in fields[0].split("-"))
                # Only advice: a refusal leaves the pages where they are.
                advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)
    except OSError:
        return
    finally:
        lock.release()


def keep_little() -> None:
    """Tells the allocator to return large buffers, for the whole process. Does nothing where it is not glibc's."""
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        for option, value in _ALLOCATOR.items():
            tune(option, value)


def return_free_memory() -> None:
    """Hands back what was freed and is kept for the next allocation. Does nothing where it is not glibc's."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@dataclass(slots=True)
class Pace:
    """Tells when `seconds` have passed since it last did. Threads may ask side by side; now and then two are told."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    _due_s: float = -math.inf

    def is_due(self) -> bool:
        """Whether it is time again."""
        now_s = self.clock()
        if now_s < self._due_s:
            return False
        self._due_s = now_s + self.seconds
        return True


_trims = Pace(_TRIM_S)


def return_free_memory_at_times() -> None:
    """`return_free_memory` for those who come by often."""
    if _trims.is_due():
        return_free_memory()
