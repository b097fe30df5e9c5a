"""What the caches and the loader count. Figures only; how they are exported is others' business."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DiskStats:
    """What this process did since it opened the cache, and what the cache holds now (all processes together)."""

    hits: int = 0
    misses: int = 0
    fills: int = 0
    fill_failures: int = 0
    damaged: int = 0
    evictions: int = 0
    evicted_bytes: int = 0
    fill_seconds: float = 0.0
    age_at_eviction_s: float = 0.0
    entries: int = 0
    used_bytes: int = 0


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """What the memory cache did since it was made, and what it holds now.

    A request is a hit (it was there), shared (another's load was under way) or a miss (its own load).
    """

    hits: int = 0
    shared: int = 0
    misses: int = 0
    loads: int = 0
    load_failures: int = 0
    load_seconds: float = 0.0
    evictions: int = 0
    evicted_bytes: int = 0
    reclaimed_bytes: int = 0
    close_seconds: float = 0.0
    age_at_eviction_s: float = 0.0
    entries: int = 0
    leased: int = 0
    waiting: int = 0
    used_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LoaderStats:
    """Versions swapped in, versions refused while the old one went on serving, and what the store was asked to send.

    `disk_hits` are artifacts that were wanted for a load and lay on disk already; `fetches` those that did not.
    """

    replacements: int = 0
    refused_replacements: int = 0
    disk_hits: int = 0
    fetches: int = 0
    fetched_bytes: int = 0
    fetch_seconds: float = 0.0
