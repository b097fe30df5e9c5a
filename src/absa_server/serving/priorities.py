"""What computes gives way to the event loop on full cores, so that `/ping` is answered.

Throughput is the same: whoever computes gets all that the loop leaves. Loads have no lower priority than inference:
threads inherit it from the one that starts them, and a load starts those in which its engine will infer. A load gives
way by its steps (courtesy.py). Nor would it help where the interpreter's lock is held by whoever may not run.
"""

import os
import sys

# Unix niceness: each step is a tenth less of a contended core. Higher: a quicker `/ping`; 19 would starve inference.
INFERENCE_NICE = 5


def yield_to_event_loop() -> None:
    """Lowers the priority of this thread to that of inference, once however often it is called or was inherited."""
    if sys.platform == "linux":  # the one system where a priority belongs to a thread, not to its process
        own, loop = (os.getpriority(os.PRIO_PROCESS, thread) for thread in (0, os.getpid()))
        os.setpriority(os.PRIO_PROCESS, 0, max(own, min(19, loop + INFERENCE_NICE)))
