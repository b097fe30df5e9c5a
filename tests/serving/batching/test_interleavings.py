"""The state machine under random interleavings: in small here, in full by `make drill-batching`."""

import pytest

from tests.serving.batching.interleavings import Interleaving


@pytest.mark.parametrize("first", range(0, 600, 100))
def test_every_answer_is_its_own_under_random_interleavings(first: int) -> None:
    """In any order of events each caller gets its own answers, once, and nothing is left behind (`run` judges)."""
    for seed in range(first, first + 100):
        interleaving = Interleaving(seed)
        interleaving.run(8)
        assert len(interleaving.asked) == 8
        assert all(one.job.is_over or one.is_abandoned for one in interleaving.asked)
