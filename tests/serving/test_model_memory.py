"""What of a budget of memory is left for models."""

import pytest

from absa_server.serving.model_memory import create_model_memory, room_for_models

MIB = 1 << 20


@pytest.mark.parametrize(
    ("budget_mib", "room_mib"), [(0, 0), (10, 9), (630, 567), (640, 576), (650, 586), (10_000, 9_936)]
)
def test_room_is_nine_tenths_of_a_budget_or_all_but_64_mib(budget_mib: int, room_mib: int) -> None:
    """On both sides of the budget whose tenth is 64 MiB."""
    assert room_for_models(budget_mib * MIB) == room_mib * MIB


def test_cache_has_the_room(caplog: pytest.LogCaptureFixture) -> None:
    """Of the budget that was set, and of the one that follows from the container; the log tells both."""
    with caplog.at_level("INFO"):
        for budget_mb in (100, 0):
            memory = create_model_memory(budget_mb, load_threads=1)
            told = vars(caplog.records[-1])
            assert memory.budget_bytes == told["room_bytes"] == room_for_models(told["bytes"])
            memory.close()
    assert told["bytes"] > 0
