"""Who gives way to whom on full cores: loading to inference, inference to the event loop, so that `/ping` is answered.

Throughput is the same: whoever computes gets all that the others leave. Threads inherit from the one that starts them,
so an engine's own threads have the priority of the thread that loaded it.
"""

import os
import sys

# Unix niceness: each step is a tenth less of a contended core. Higher: a quicker `/ping`; 19 would starve inference.
INFERENCE_NICE = 5
LOAD_NICE = 10


def yield_to_event_loop() -> None:
    """Lowers the priority of this thread to that of inference."""
    _add_niceness(INFERENCE_NICE)


def yield_to_inference() -> None:
    """Lowers the priority of this thread to that of loading."""
    _add_niceness(LOAD_NICE)


def _add_niceness(steps: int) -> None:
    if sys.platform == "linux":  # the one system where a priority belongs to a thread, not to its process
        os.setpriority(os.PRIO_PROCESS, 0, min(19, os.getpriority(os.PRIO_PROCESS, 0) + steps))
