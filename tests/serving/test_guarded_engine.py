"""An engine is never closed under a pass."""

import threading

import numpy as np
import pytest

from absa_server.errors import EngineFailed
from absa_server.serving.guarded_engine import GuardedEngine

IDS = np.zeros((1, 1), np.int64)


def test_close_waits_for_the_pass_under_way(engine, eventually):
    """A pass left behind by a caller ends before the engine is closed; later ones are refused."""
    guarded = GuardedEngine(engine)
    engine.gate.clear()
    working = threading.Thread(target=guarded.infer, args=(IDS, IDS, None))
    closing = threading.Thread(target=guarded.close)
    working.start()
    assert engine.entered.wait(10)
    closing.start()
    eventually(lambda: guarded._is_closed)
    assert not engine.is_closed
    engine.gate.set()
    working.join(10)
    closing.join(10)
    assert engine.is_closed
    with pytest.raises(EngineFailed, match="unloaded"):
        guarded.infer(IDS, IDS, None)


def test_guard_tells_what_the_engine_tells(engine):
    """Whatever else an engine says of itself passes through."""
    assert GuardedEngine(engine).resident_bytes == engine.resident_bytes
