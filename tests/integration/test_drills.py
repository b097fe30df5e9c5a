"""The drills in small: the same code on tiny models for seconds, without the figures."""

import pytest

from absa_server.absa.artifact import open_artifact
from tests.drills import gpu
from tests.drills.demo import ask, end_to_end_f1, spans
from tests.drills.ping import drill, large_bodies


def test_ping_drill_in_small(tiny_models, tmp_path):
    """Every phase runs against real servers with the statuses it must have; figures are for the full form."""
    phases = drill(tiny_models, tmp_path, seconds=0.2, broken_seconds=0.5, body_bytes=1024 * 1024)
    assert len(phases) == 3 + len(large_bodies(1000))
    assert all(probes.seconds for probes in phases.values())


def test_demo_drill_asks_for_every_record_in_order(server):
    """More records than one request holds come back one for one, given aspects included."""
    texts = [f"The food was good, number {n}." for n in range(70)]
    answers = ask(server.url, [{"id": n, "text": text, "aspects": ["food"]} for n, text in enumerate(texts)])
    assert [answer["id"] for answer in answers] == list(range(70))
    assert all(spans(answer) == [{"start": 4, "end": 8}] for answer in answers)


@pytest.mark.parametrize(
    ("predicted", "f1"),
    [
        ([(0, 4, "positive"), (9, 13, "negative")], 1.0),
        ([(0, 4, "positive")], 2 / 3),
        ([(0, 4, "negative"), (9, 13, "negative")], 0.5),
        ([(0, 5, "positive")], 0.0),
        ([], 0.0),
    ],
)
def test_end_to_end_f1_counts_span_and_polarity_together(predicted, f1):
    """Both must be right; a miss and a false find count alike."""

    def row(aspects):
        return {"aspects": [{"start": start, "end": end, "polarity": polarity} for start, end, polarity in aspects]}

    gold = [row([(0, 4, "positive"), (9, 13, "negative")])]
    assert end_to_end_f1(gold, [row(predicted)]) == pytest.approx(f1)


def test_gpu_drill_in_small(tiny_models, monkeypatch):
    """Every size with both precisions, on whatever device torch finds here."""
    monkeypatch.setattr(gpu, "SIZES", ((1, 9), (4, 17)))
    aspect = open_artifact(tiny_models).aspect
    table = gpu.measure(aspect, rounds=1, streams=2, most_rows=2)
    assert list(table.columns[0].cells) == ["1x9", "1x9", "2x17", "2x17"]
    engines = list(table.columns[1].cells)
    assert all(name.startswith("torch") for name in engines)
    assert engines[:2] == engines[2:]
