"""The state machine under random interleavings: in small here, in full by `make drill-batching`."""

import pytest

from tests.serving.batching.interleavings import Interleaving


@pytest.mark.parametrize("first", range(0, 600, 100))
def test_every_answer_is_its_own_under_random_interleavings(first: int) -> None:
    """Whatever the order of events, each caller gets its own answers, once, and nothing is left behind."""
    for seed in range(first, first + 100):
        Interleaving(seed).run(8)
