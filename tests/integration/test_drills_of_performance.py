"""The drills of performance in small: the same code on tiny models for a moment. Figures are for the full form."""

from tests.drills import front
from tests.tiny_models import write_sentences

TEXTS = [sentence.text for sentence in write_sentences(32)]


def test_front_drill_in_small(tiny_models, tmp_path):
    """The server without its networks answers under load, and tells which of its modules used the CPU."""
    load = front.Load(TEXTS, seconds=0.4, concurrency=4)
    [cell], aspects = front.measure(tiny_models, tmp_path, load, rounds=1)
    assert front.per_cpu_second(cell) > 0
    assert aspects > 0
    modules, functions = front.profile(tiny_models, tmp_path, load)
    assert modules.row_count > 3
    assert functions.row_count > 3
