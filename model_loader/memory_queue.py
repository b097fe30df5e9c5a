"""The loads that have not begun: who waits for memory, or for a free loader. Knows no budget and no lock.

They hold nothing and are in no order of use yet: a cache that gave way to all of them at once would be empty.
"""

from collections.abc import Iterator
from typing import Generic

from model_loader.memory_entry import Entry, T


class LoadQueue(Generic[T]):
    """Entries by key, longest waiting first; asking again does not move one back."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry[T]] = {}

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter([*self._entries.values()])

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Entry[T] | None:
        """The load of `key` that waits."""
        return self._entries.get(key)

    def add(self, entry: Entry[T]) -> None:
        """As the last."""
        self._entries[entry.key] = entry

    def remove(self, entry: Entry[T]) -> None:
        """It begins, or nobody waits for it any more."""
        del self._entries[entry.key]

    def drop_deserted(self) -> None:
        """Forgets the loads whose waiters have all left."""
        for entry in self:
            entry.waiters = [waiter for waiter in entry.waiters if not waiter.cancelled()]
            if not entry.waiters:
                self.remove(entry)
