"""The table of the comparison with other servers, on rows written by hand."""

import pytest

from tests.drills.peers.ratios import BARS, Bar, best_peer, engine_limit, holds, median

RATE = Bar(("absa",), "chain-short", 32, "texts_s", 2.0, "ov-f32", 0.8)
TIME = Bar(("absa",), "chain-short", 32, "p50_ms", 0.5, ceiling=40)


def row(contestant, texts_s, p50_ms):
    return {"contestant": contestant, "workload": "chain-short", "c": 32, "texts_s": texts_s, "p50_ms": p50_ms}


ROWS = [row("absa", 100, 10), row("absa", 140, 30), row("absa", 130, 20), row("a", 60, 90), row("b", 50, 45)]


def test_medians_and_best_peer_follow_the_metric():
    """Rates are best when high, times when low; our own contestants are no peers."""
    assert median(ROWS, "absa", RATE) == 130
    assert best_peer(ROWS, RATE) == ("a", 60)
    assert best_peer(ROWS, TIME) == ("b", 45)
    assert best_peer(ROWS[:3], RATE) is None


def test_limit_is_the_best_layout_of_the_same_texts():
    """Whole reviews have a limit of their own."""
    limits = [
        {"engine": "ov-f32", "texts": "short", "texts_s": 100},
        {"engine": "ov-f32", "texts": "short", "texts_s": 114},
        {"engine": "ov-f32", "texts": "long", "texts_s": 4},
        {"engine": "ov-bf16", "texts": "short", "texts_s": 210},
    ]
    assert engine_limit(limits, RATE) == 114
    assert engine_limit([], RATE) is None


@pytest.mark.parametrize(
    ("bar", "value", "peer", "limit", "expected"),
    [
        (RATE, 120, 60, 150, True), (RATE, 119, 60, 100, False), (RATE, 120, 60, 151, False),
        (RATE, 120, 60, None, None), (RATE, 120, None, 150, None), (RATE, 119, 60, None, False),
        (TIME, 22.5, 45, None, True), (TIME, 22.6, 45, None, False), (TIME, 41, 100, None, False),
    ],
)  # fmt: skip
def test_bar_holds_only_when_every_part_was_measured_and_met(bar, value, peer, limit, expected):
    """One part missed is a no; one not measured leaves it open."""
    assert holds(bar, value, peer=peer, limit=limit) is expected


def test_bars_name_cells_that_the_comparison_has():
    """Every bar can be filled: its cell is one that bench.py runs."""
    cells = {("chain-short", 1), ("chain-short", 8), ("chain-short", 32), ("chain-long", 8), ("batch", 2)}
    assert {(bar.workload, bar.concurrency) for bar in BARS} <= cells
