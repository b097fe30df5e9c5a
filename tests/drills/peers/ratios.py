"""The rows of a comparison against its bars: medians, best peer, engine's limit. Knows rows, and runs nothing."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bar:
    """What one of our contestants must reach in a cell: `metric` at least (times: at most) `ratio` of the best peer.

    `limit_engine` and `limit_share`: and of what limit.py measured with that engine. `ceiling` is absolute.
    """

    contestants: tuple[str, ...]
    workload: str
    concurrency: int
    metric: str
    ratio: float | None
    limit_engine: str | None = None
    limit_share: float | None = None
    ceiling: float | None = None


SMALLER_IS_BETTER = {"p50_ms", "p99_ms", "cpu_s_per_1000", "rss_mb"}
F32, BF16, INT8, SENTENCE = ("absa", "absa-f32"), ("absa-bf16",), ("absa-int8",), ("absa-sentence",)
EVERY = (*F32, *BF16, *INT8)
BARS = (
    Bar(BF16, "chain-short", 32, "texts_s", 2.7, "ov-bf16", 0.80),
    Bar(INT8, "chain-short", 32, "texts_s", 3.5, "ov-int8"),
    Bar(F32, "chain-short", 32, "texts_s", 1.5, "ov-f32", 0.85),
    Bar(EVERY, "chain-short", 1, "p50_ms", 0.45),
    Bar(EVERY, "chain-short", 8, "p99_ms", 0.50, ceiling=1000.0),
    Bar(BF16, "batch", 2, "texts_s", 2.8),
    Bar(INT8, "batch", 2, "texts_s", 3.5),
    Bar(F32, "batch", 2, "texts_s", None),
    Bar(EVERY, "chain-long", 8, "texts_s", 1.8),
    Bar(SENTENCE, "chain-long", 8, "texts_s", 4.5),
    Bar(EVERY, "chain-short", 32, "cpu_s_per_1000", None, ceiling=11.0),
    Bar((*EVERY, *SENTENCE), "chain-long", 8, "rss_mb", None, ceiling=450.0),
)


def median(rows: Sequence[Row], contestant: str, bar: Bar) -> float | None:
    """The median over the rounds of a contestant's cell; None where it was not measured."""
    found = [
        row[bar.metric]
        for row in rows
        if (row["contestant"], row["workload"], row["c"]) == (contestant, bar.workload, bar.concurrency)
    ]
    return statistics.median(found) if found else None


def best_peer(rows: Sequence[Row], bar: Bar) -> tuple[str, float] | None:
    """The other contestant that is best in the bar's cell, with its median."""
    peers = sorted({row["contestant"] for row in rows if not row["contestant"].startswith("absa")})
    known = [(name, value) for name in peers if (value := median(rows, name, bar)) is not None]
    choose: Callable[..., tuple[str, float]] = min if bar.metric in SMALLER_IS_BETTER else max
    return choose(known, key=lambda pair: pair[1]) if known else None


def engine_limit(limits: Sequence[Row], bar: Bar) -> float | None:
    """The best layout of the bar's engine on the bar's texts."""
    texts = bar.workload.removeprefix("chain-")
    found = [row["texts_s"] for row in limits if (row["engine"], row["texts"]) == (bar.limit_engine, texts)]
    return max(found, default=None)


def ratio_table(rows: Sequence[Row], limits: Sequence[Row]) -> Table:
    """One line for each bar and contestant of ours that was measured; what was not measured is a dash."""
    table = Table(
        "ours", "workload", "c", "metric", "median", "best peer", "ratio", "bar", "of the limit", "bar", "holds"
    )
    for bar in BARS:
        for name in bar.contestants:
            if (value := median(rows, name, bar)) is not None:
                table.add_row(name, bar.workload, str(bar.concurrency), *_line(rows, limits, bar, value))
    return table


def _line(rows: Sequence[Row], limits: Sequence[Row], bar: Bar, value: float) -> tuple[str, ...]:
    peer, limit = best_peer(rows, bar), engine_limit(limits, bar)
    sign = "≤" if bar.metric in SMALLER_IS_BETTER else "≥"
    bars = [f"{sign} {bar.ratio:g}"] if bar.ratio is not None else []
    bars += [f"≤ {bar.ceiling:g} absolute"] if bar.ceiling is not None else []
    return (
        bar.metric,
        f"{value:.1f}",
        f"{peer[1]:.1f} ({peer[0]})" if peer else "–",
        f"{value / peer[1]:.2f}" if peer else "–",
        ", ".join(bars) or "–",
        f"{value / limit:.2f}" if limit else "–",
        f"≥ {bar.limit_share:g}" if bar.limit_share is not None else "–",
        {True: "yes", False: "NO", None: "–"}[holds(bar, value, peer=peer[1] if peer else None, limit=limit)],
    )


def holds(bar: Bar, value: float, *, peer: float | None, limit: float | None) -> bool | None:
    """Whether every part of the bar is met; None when a part could not be judged, or there is none."""
    parts: list[bool | None] = []
    if bar.ratio is not None:
        is_small = bar.metric in SMALLER_IS_BETTER
        parts.append(None if peer is None else (value <= bar.ratio * peer if is_small else value >= bar.ratio * peer))
    if bar.limit_share is not None:
        parts.append(None if limit is None else value >= bar.limit_share * limit)
    if bar.ceiling is not None:
        parts.append(value <= bar.ceiling)
    if False in parts:
        return False
    return None if None in parts or not parts else True
