"""How many cores this process may use: its affinity and the cgroup's quota, not what the host has."""

import math
import os
from pathlib import Path

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")


def available_cores() -> int:
    """Whole cores, at least one. A quota of 1.5 cores counts as two: one would leave half a core idle."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(_CGROUP_V2, _CGROUP_V1)
    return max(1, min(affinity, math.ceil(quota)) if quota else affinity)


def _quota(v2: Path, v1: Path) -> float | None:
    """Cores' worth of time the cgroup grants, or None where it sets no limit."""
    try:
        if v2.is_file():
            limit, period = v2.read_text().split()
        else:
            limit, period = ((v1 / name).read_text().strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
        return float(limit) / float(period) if limit not in {"max", "-1"} else None
    except (OSError, ValueError):
        return None
