"""The memory cache's order and bytes: what is held, what it counts for, and what would have to go for something new.

Plain bookkeeping, called under the cache's lock: knows no clock, no lock, no loading and no closing.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic

from model_loader.errors import CacheTooSmall
from model_loader.memory_entry import Entry, State, T


class Shelf(Generic[T]):
    """Entries by key, least recently used first, beside those that were taken out and are not closed yet."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.used_bytes = 0
        self.leaving_bytes = 0  # the part of `used_bytes` that is being closed and comes back by itself
        self.pinned: set[str] = set()
        self._entries: OrderedDict[str, Entry[T]] = OrderedDict()
        self._retired: list[Entry[T]] = []

    def __iter__(self) -> Iterator[Entry[T]]:
        """All that is held, also what was retired and is still in use."""
        return iter([*self._entries.values(), *self._retired])

    def get(self, key: str) -> Entry[T] | None:
        """The entry that answers for `key` now; asking for it is a use."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    @property
    def loading(self) -> int:
        """Loads that have begun."""
        return sum(entry.state is State.LOADING for entry in self)

    def add(self, entry: Entry[T]) -> None:
        """A load that begins, as the most recently used; its peak counts until it is recounted."""
        self._entries[entry.key] = entry
        self.recount(entry, entry.footprint.peak_bytes)

    def drop(self, entry: Entry[T]) -> None:
        """Forgets an entry that could not be loaded."""
        self.recount(entry, 0)
        if entry.is_retired:
            self._retired.remove(entry)
        else:
            del self._entries[entry.key]

    def retire(self, key: str) -> Entry[T] | None:
        """Takes what answers for `key` out of reach; it stays held until it is dropped or leaves."""
        entry = self._entries.get(key)
        if entry is not None:
            self.retire_entry(entry)
        return entry

    def retire_entry(self, entry: Entry[T]) -> None:
        """As `retire`, of this very entry; one that is retired already stays so."""
        if not entry.is_retired:
            del self._entries[entry.key]
            entry.is_retired = True
            self._retired.append(entry)

    def recount(self, entry: Entry[T], new_bytes: int) -> None:
        """From now on `entry` counts for `new_bytes`."""
        self.used_bytes += new_bytes - entry.counted_bytes
        entry.counted_bytes = new_bytes

    def leave(self, entry: Entry[T]) -> None:
        """Takes an idle entry off the shelf to be closed; its bytes count until `left`."""
        if entry.is_retired:
            self._retired.remove(entry)
        else:
            del self._entries[entry.key]
        entry.state = State.CLOSING
        self.leaving_bytes += entry.counted_bytes

    def left(self, entry: Entry[T]) -> None:
        """It is closed: its bytes are free."""
        self.leaving_bytes -= entry.counted_bytes
        self.recount(entry, 0)

    def victims(self, missing_bytes: int) -> list[Entry[T]] | None:
        """The least recently used idle entries that free `missing_bytes`, or None when all of them would not."""
        chosen: list[Entry[T]] = []
        for entry in self._entries.values():
            if missing_bytes <= 0:
                break
            if entry.is_idle and entry.key not in self.pinned:
                chosen.append(entry)
                missing_bytes -= entry.counted_bytes
        return chosen if missing_bytes <= 0 else None

    def idle(self) -> list[Entry[T]]:
        """All that may be evicted, least recently used first."""
        return [entry for entry in self._entries.values() if entry.is_idle and entry.key not in self.pinned]

    def too_small(self, key: str, wanted_bytes: int) -> CacheTooSmall | None:
        """Why `wanted_bytes` could never be had, whatever is evicted; None when they could."""
        beside = (entry.counted_bytes for name, entry in self._entries.items() if name in self.pinned and name != key)
        pinned = sum(beside)
        if wanted_bytes <= self.budget_bytes - pinned:
            return None
        told = f"{key} takes {wanted_bytes} bytes, the whole budget is {self.budget_bytes}"
        return CacheTooSmall(told + (f", of which pinned models take {pinned}" if pinned else ""))

    def __str__(self) -> str:
        told = [f"{self.used_bytes} of {self.budget_bytes} bytes"]
        for entry in self:
            leases = f", {entry.leases} leases" if entry.leases else ""
            told.append(f"{entry.key}: {entry.state.value}, {entry.counted_bytes} bytes{leases}")
        return "; ".join(told)
