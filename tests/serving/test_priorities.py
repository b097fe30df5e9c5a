"""Which threads give way, as the kernel has it."""

import os
import sys
import threading

import pytest

from absa_server.serving.model_slot import ModelSlot
from absa_server.serving.priorities import INFERENCE_NICE, LOAD_NICE, yield_to_event_loop, yield_to_inference

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a priority belongs to a process here")


def _niceness_after(*steps: object) -> tuple[int, int]:
    """Of a thread that takes the steps, and of one that it starts; both above this thread's own."""
    seen: list[int] = []

    def work() -> None:
        for step in steps:
            step()  # type: ignore[operator]
        child = threading.Thread(target=lambda: seen.append(os.getpriority(os.PRIO_PROCESS, 0)))
        seen.append(os.getpriority(os.PRIO_PROCESS, 0))
        child.start()
        child.join()

    own = os.getpriority(os.PRIO_PROCESS, 0)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
    return seen[0] - own, seen[1] - own


def test_loading_gives_way_to_inference_and_that_to_the_event_loop() -> None:
    """A thread's own priority alone changes, and those that it starts inherit it."""
    assert _niceness_after() == (0, 0)
    assert _niceness_after(yield_to_event_loop) == (INFERENCE_NICE, INFERENCE_NICE)
    assert _niceness_after(yield_to_inference) == (LOAD_NICE, LOAD_NICE)
    assert LOAD_NICE > INFERENCE_NICE > 0


def test_priority_has_a_lowest() -> None:
    """Beyond it the kernel would refuse."""
    lowest = 19 - os.getpriority(os.PRIO_PROCESS, 0)
    assert _niceness_after(yield_to_inference, yield_to_inference, yield_to_inference) == (lowest, lowest)


def test_model_is_loaded_with_the_priority_of_inference() -> None:
    """So that the threads which its engines start have it."""
    seen = threading.Event()
    found: list[int] = []

    def load() -> None:
        found.append(os.getpriority(os.PRIO_PROCESS, 0))
        seen.set()
        raise RuntimeError("enough")

    own = os.getpriority(os.PRIO_PROCESS, 0)
    slot = ModelSlot(load)  # type: ignore[arg-type]
    slot.start()
    assert seen.wait(10)
    slot.close()
    assert found == [own + INFERENCE_NICE]
