"""Latency against offered rate, as a PNG. Needs matplotlib (extra `plan`), imported only when a picture is drawn."""

from collections.abc import Sequence
from pathlib import Path

from absa_server.benchmark.cells import Cell
from absa_server.benchmark.errors import MissingDependency
from absa_server.benchmark.session import Knee


def draw(cells: Sequence[Cell], knees: Sequence[Knee], *, title: str, file: Path) -> None:
    """Write the picture of all open-loop cells, short windows of a rate averaged. Raises `MissingDependency`."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingDependency("pictures need matplotlib: pip install 'absa-server[plan]'") from None
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    points = sorted(
        (cell for cell in cells if cell.offered_rps and cell.p99_ms), key=lambda cell: cell.offered_rps or 0
    )
    rates = [cell.offered_rps or 0.0 for cell in points]
    for name, values in (
        ("p50", [cell.p50_ms or 0.0 for cell in points]),
        ("p95", [cell.p95_ms or 0.0 for cell in points]),
        ("p99", [cell.p99_ms or 0.0 for cell in points]),
    ):
        axes.plot(rates, values, marker="o", markersize=4, linewidth=1, label=name)
    for knee in knees:
        axes.axhline(knee.slo_ms, color="grey", linestyle=":", linewidth=1)
        if knee.max_rps is not None:
            axes.axvline(knee.max_rps, color="green", linestyle="--", linewidth=1)
            label = f"{knee.max_rps:.0f}/s at p99 ≤ {knee.slo_ms:.0f} ms"
            axes.annotate(label, (knee.max_rps, knee.slo_ms), textcoords="offset points", xytext=(-4, 4), ha="right")
    axes.set(title=title, xlabel="offered requests per second (Poisson)", ylabel="latency, ms, from the intended send")
    axes.set_yscale("log")
    axes.grid(visible=True, which="both", alpha=0.25)
    if points:
        axes.legend()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)
