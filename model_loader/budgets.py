"""How many bytes of memory and of disk this process may use: the container's limits, not what the host has."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_CGROUP_V2 = Path("/sys/fs/cgroup/memory.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")
_STATUS = Path("/proc/self/status")


def memory_limit_bytes(*, v2: Path = _CGROUP_V2, v1: Path = _CGROUP_V1) -> int:
    """Bytes that this process and its children may use together: the cgroup's limit, the machine's memory at most.

    A v1 cgroup without a limit holds a number near 2^63, which the machine's memory undercuts.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(v2, v1)])


def _limits(*files: Path) -> Iterator[int]:
    for file in files:
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) > 0:  # v2 says "max" where there is no limit
            yield int(text)


def memory_budget_bytes(limit_bytes: int, *, share: float, reserve_bytes: int) -> int:
    """What models may take of `limit_bytes`: a share of what is left beside the process itself, never less than 0."""
    return max(0, int((limit_bytes - reserve_bytes) * share))


def disk_budget_bytes(folder: Path, *, share: float) -> int:
    """What a cache in `folder` may take: a share of its file system's size, or of what is free where that is less."""
    usage = shutil.disk_usage(_nearest(folder))
    return int(min(usage.total * share, usage.free + _taken(folder)))


def resident_bytes(*, status: Path = _STATUS) -> int:
    """Memory of this process that is not backed by files (private and shared anonymous pages); 0 where nobody tells.

    Pages of mapped model files are left out: the kernel takes them back when it needs them.
    """
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return 0
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    return sum(_kib(found.get(name)) for name in ("RssAnon", "RssShmem"))


def _kib(value: str | None) -> int:
    return int(value.split()[0]) * 1024 if value else 0


def _nearest(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _taken(folder: Path) -> int:
    """What already lies there is the cache's own, from before a restart."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*")) if folder.is_dir() else 0
