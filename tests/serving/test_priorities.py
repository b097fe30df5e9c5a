"""Which threads give way, as the kernel has it."""

import os
import sys
import threading

import pytest

from absa_server.serving.model_slot import ModelSlot
from absa_server.serving.priorities import INFERENCE_NICE, yield_to_event_loop

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


def test_what_computes_gives_way_to_the_event_loop() -> None:
    """A thread's own priority alone changes, and those that it starts inherit it."""
    assert _niceness_after() == (0, 0)
    assert _niceness_after(yield_to_event_loop) == (INFERENCE_NICE, INFERENCE_NICE)
    assert INFERENCE_NICE > 0


def test_priority_is_lowered_once() -> None:
    """Threads start others: a load that a download's thread began has the priority of any other load."""
    assert _niceness_after(yield_to_event_loop, yield_to_event_loop) == (INFERENCE_NICE, INFERENCE_NICE)
    seen: list[tuple[int, int]] = []
    thread = threading.Thread(target=lambda: (yield_to_event_loop(), seen.append(_niceness_after(yield_to_event_loop))))
    thread.start()
    thread.join()
    assert seen == [(0, 0)]  # above the thread that started it


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
