"""The rows that wait for one model: ordered by when they are due, and by length. No threads, no clock."""

import heapq
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from absa_server.absa.tokenization import ModelInput
from absa_server.serving.batching.grouping import similar_rows
from absa_server.telemetry.model_labels import ONE_MODEL

if TYPE_CHECKING:
    from absa_server.serving.batching.jobs import Chain


@dataclass(slots=True, eq=False)
class Entry:
    """A row that is to be run once, and the places in chains where its logits are wanted.

    `is_alone`: it was in a batch that failed, and is tried again by itself. `model`: the name it is counted under.
    """

    row: ModelInput
    identity: bytes
    due_s: float
    queued_s: float
    waiters: list[tuple["Chain", int]] = field(default_factory=list)
    is_waiting: bool = False
    is_alone: bool = False
    model: str = ONE_MODEL


class RowQueue:
    """Every batch contains the entry that is due first: nobody is overtaken by more than was due before it.

    `tokens` counts the waiting rows' own tokens.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self._size = 0
        self._numbers = count()
        self._by_due: list[tuple[float, int, Entry]] = []  # also entries that have gone; they are skipped
        # In step, ascending. An entry that must run alone is in neither.
        self._lengths: list[int] = []
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        return self._size

    def add(self, entry: Entry) -> None:
        """The entry waits from now on."""
        entry.is_waiting = True
        self._size += 1
        self.tokens += len(entry.row)
        heapq.heappush(self._by_due, (entry.due_s, next(self._numbers), entry))
        if not entry.is_alone:
            place = bisect_right(self._lengths, len(entry.row))
            self._lengths.insert(place, len(entry.row))
            self._entries.insert(place, entry)

    def hasten(self, entry: Entry, due_s: float) -> None:
        """The entry is due at `due_s` if that is sooner: somebody more urgent wants the same row."""
        if due_s < entry.due_s:
            entry.due_s = due_s
            if entry.is_waiting:
                heapq.heappush(self._by_due, (due_s, next(self._numbers), entry))

    def remove(self, entry: Entry) -> None:
        """Nobody wants the entry any more, which must be waiting."""
        entry.is_waiting = False
        self._size -= 1
        self.tokens -= len(entry.row)
        if not entry.is_alone:
            place = self._place(entry)
            del self._lengths[place], self._entries[place]

    @property
    def first(self) -> Entry | None:
        """The entry that is due first; None when nothing waits."""
        while self._by_due and not self._by_due[0][2].is_waiting:
            heapq.heappop(self._by_due)
        return self._by_due[0][2] if self._by_due else None

    def take(self, limit_tokens: int, *, is_padding_free: bool = False) -> list[Entry]:
        """The next batch, at most `limit_tokens` large unless it is one row: the first entry and those like it.

        Where there is no padding, the first entry and those due next.
        """
        anchor = self.first
        if anchor is None:
            return []
        if anchor.is_alone:
            batch = [anchor]
        elif is_padding_free:
            batch = self._due_next(limit_tokens)
        else:
            batch = self._similar(anchor, limit_tokens)
        for entry in batch:
            entry.is_waiting = False
        self._size -= len(batch)
        self.tokens -= sum(len(entry.row) for entry in batch)
        return batch

    def _similar(self, anchor: Entry, limit_tokens: int) -> list[Entry]:
        group = similar_rows(self._lengths, self._place(anchor), limit_tokens=limit_tokens)
        batch = self._entries[group.start : group.stop]
        del self._lengths[group.start : group.stop], self._entries[group.start : group.stop]
        return batch

    def _due_next(self, limit_tokens: int) -> list[Entry]:
        batch: list[Entry] = []
        tokens = 0
        while (entry := self.first) is not None and not entry.is_alone:
            tokens += len(entry.row)
            if batch and tokens > limit_tokens:
                break
            heapq.heappop(self._by_due)
            place = self._place(entry)
            del self._lengths[place], self._entries[place]
            entry.is_waiting = False
            batch.append(entry)
        return batch

    def _place(self, entry: Entry) -> int:
        return self._entries.index(entry, bisect_left(self._lengths, len(entry.row)))
