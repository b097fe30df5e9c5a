"""Rows in batches: the same answers as one by one, similar lengths together, identical rows once."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from absa_server.absa.batches import BatchRunner
from absa_server.absa.tokenization import ModelInput
from absa_server.errors import EngineFailed
from absa_server.types import FloatArray, IntArray

PAD = 99


class AddingEngine:
    """Logits that tell what was asked: for each token its id and type; or, of a whole row, their sums."""

    resident_bytes = 0

    def __init__(self, *, of_rows: bool, is_padding_free: bool = False) -> None:
        self.of_rows = of_rows
        self.is_padding_free = is_padding_free
        self.batches: list[tuple[int, int]] = []
        self.saw_types = False

    def infer(self, input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray | None) -> FloatArray:
        self.batches.append(input_ids.shape)
        self.saw_types = token_type_ids is not None
        assert (input_ids[attention_mask == 0] == PAD).all()
        types = np.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        answer = np.stack([input_ids, types], axis=-1).astype(np.float32)
        return (answer * attention_mask[..., None]).sum(axis=1) if self.of_rows else answer

    def close(self) -> None:
        return None


def _row(ids: list[int], kind: int = 0) -> ModelInput:
    return ModelInput(np.array(ids, np.int64), np.full(len(ids), kind, np.int64))


def _runner(engine: AddingEngine, budget_tokens: int) -> BatchRunner:
    return BatchRunner(engine, PAD, uses_token_types=True, budget_tokens=budget_tokens)


_ROWS = st.lists(
    st.builds(_row, st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(0, 1)), min_size=1, max_size=20
)


@settings(deadline=None)
@given(_ROWS, st.integers(1, 60), st.booleans())
def test_batches_answer_as_one_by_one(rows: list[ModelInput], budget_tokens: int, of_rows: bool) -> None:
    """Whatever the rows, their order and the budget: each answer is the one its row gets alone, at the row's place."""
    together = _runner(AddingEngine(of_rows=of_rows), budget_tokens).run(rows, lambda: None)
    alone = [_runner(AddingEngine(of_rows=of_rows), 1).run([row], lambda: None)[0] for row in rows]
    assert len(together) == len(rows)
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(found, expected)


@settings(deadline=None)
@given(_ROWS, st.integers(1, 60))
def test_padded_size_of_a_batch_obeys_the_budget(rows: list[ModelInput], budget_tokens: int) -> None:
    """No batch of several rows is larger than the budget; a longer row runs alone."""
    engine = AddingEngine(of_rows=True)
    _runner(engine, budget_tokens).run(rows, lambda: None)
    assert all(count * length <= budget_tokens or count == 1 for count, length in engine.batches)


def test_identical_rows_run_once() -> None:
    """Two rows are identical only if their token types are, too."""
    engine = AddingEngine(of_rows=True)
    answers = _runner(engine, 100).run([_row([1, 2]), _row([1, 2], 1), _row([1, 2])], lambda: None)
    assert engine.batches == [(2, 2)]
    assert [answer.tolist() for answer in answers] == [[3, 0], [3, 2], [3, 0]]


def test_token_types_stay_out_of_models_without_them() -> None:
    """An engine whose model has no token types is given none."""
    engine = AddingEngine(of_rows=True)
    BatchRunner(engine, PAD, uses_token_types=False, budget_tokens=10).run([_row([1], 1)], lambda: None)
    assert not engine.saw_types


def test_no_rows_ask_no_engine() -> None:
    """Nothing to do is no batch."""
    engine = AddingEngine(of_rows=True)
    assert _runner(engine, 10).run([], lambda: None) == []
    assert engine.batches == []


def test_check_stops_the_work_between_batches() -> None:
    """What `check` raises comes out, and no further batch runs."""
    engine = AddingEngine(of_rows=True)

    def check() -> None:
        if engine.batches:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        _runner(engine, 1).run([_row([1]), _row([2]), _row([3])], check)
    assert engine.batches == [(1, 1)]


@given(st.lists(st.integers(1, 30), max_size=40).map(sorted), st.integers(1, 100), st.booleans())
def test_groups_are_a_partition_in_order_and_as_large_as_they_may(
    lengths: list[int], budget_tokens: int, is_padding_free: bool
) -> None:
    """Every row once, in order; a group could not have taken the next row without breaking the budget."""

    def cost(rows: list[int]) -> int:
        return sum(rows) if is_padding_free else len(rows) * max(rows)

    runner = _runner(AddingEngine(of_rows=True, is_padding_free=is_padding_free), budget_tokens)
    groups = [list(group) for group in runner.groups(lengths)]
    assert [index for group in groups for index in group] == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or cost([lengths[index] for index in group]) <= budget_tokens
    for group, following in itertools.pairwise(groups):
        assert cost([lengths[index] for index in [*group, following[0]]]) > budget_tokens


class DamagedEngine(AddingEngine):
    """What a model with overflowing weights answers."""

    def infer(self, input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray | None) -> FloatArray:
        return super().infer(input_ids, attention_mask, token_type_ids) * np.float32("nan")


def test_logits_that_are_no_numbers_are_an_error() -> None:
    """NaN would decode to "no aspects", which looks like an answer."""
    with pytest.raises(EngineFailed, match="not finite"):
        _runner(DamagedEngine(of_rows=False), 64).run([_row([1, 2])], lambda: None)
