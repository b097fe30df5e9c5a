"""The queue of one model as a pure data structure: nothing lost, nothing twice, nobody starved."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from absa_server.absa.tokenization import ModelInput
from absa_server.serving.batching.row_queue import Entry, RowQueue


def entry(length: int, due_s: float, *, is_alone: bool = False) -> Entry:
    row = ModelInput(np.arange(length), np.zeros(length, np.int64))
    return Entry(row, row.identity, due_s, queued_s=0.0, is_alone=is_alone)


class QueueMachine(RuleBasedStateMachine):
    """Adds, hastens, removes and takes in any order, beside a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = RowQueue()
        self.waiting: list[Entry] = []

    @rule(length=st.integers(1, 30), due_s=st.floats(0, 10), is_alone=st.booleans())
    def add(self, length: int, due_s: float, is_alone: bool) -> None:
        self.waiting.append(entry(length, due_s, is_alone=is_alone))
        self.queue.add(self.waiting[-1])

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), due_s=st.floats(0, 10))
    def hasten(self, data: st.DataObject, due_s: float) -> None:
        one = data.draw(st.sampled_from(self.waiting))
        earlier = min(one.due_s, due_s)
        self.queue.hasten(one, due_s)
        assert one.due_s == earlier

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(one)
        self.queue.remove(one)

    @rule(limit_tokens=st.integers(1, 200), is_padding_free=st.booleans())
    def take(self, limit_tokens: int, is_padding_free: bool) -> None:
        batch = self.queue.take(limit_tokens, is_padding_free=is_padding_free)
        assert len(set(batch)) == len(batch)
        assert set(batch) <= set(self.waiting)
        assert bool(batch) == bool(self.waiting)
        if batch:
            assert min(one.due_s for one in batch) == min(one.due_s for one in self.waiting)
            lengths = [len(one.row) for one in batch]
            cost = sum(lengths) if is_padding_free else max(lengths) * len(lengths)
            assert len(batch) == 1 or cost <= limit_tokens
            if is_padding_free:
                left = [one.due_s for one in self.waiting if one not in batch]
                assert max(one.due_s for one in batch) <= min(left, default=float("inf"))
            assert len(batch) == 1 or not any(one.is_alone for one in batch)
        self.waiting = [one for one in self.waiting if one not in batch]

    @invariant()
    def counts_are_right(self) -> None:
        assert len(self.queue) == len(self.waiting)
        assert self.queue.tokens == sum(len(one.row) for one in self.waiting)
        assert all(one.is_waiting for one in self.waiting)
        assert (self.queue.first is None) == (not self.waiting)


TestRowQueue = QueueMachine.TestCase
TestRowQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.lists(st.integers(1, 60), max_size=30), st.integers(1, 60), st.lists(st.integers(1, 60), min_size=50))
@settings(deadline=None, max_examples=60)
def test_nobody_waits_longer_than_those_due_before_it(before: list[int], own: int, after: list[int]) -> None:
    """The starvation bound: at most one batch for each row due before, however many similar rows come after."""
    queue, watched = RowQueue(), entry(own, 1.0)
    for length in before:
        queue.add(entry(length, 0.5))
    queue.add(watched)
    for batches, length in enumerate(after):
        assert batches <= len(before), "it should have had its turn"
        queue.add(entry(length, 2.0 + batches))  # the flood never ends
        if watched in queue.take(200):
            return
