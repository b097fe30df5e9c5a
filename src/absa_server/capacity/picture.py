"""A simulated burst as a picture of three panels. Needs matplotlib (extra `plan`), imported when something is drawn."""

from pathlib import Path

from absa_server.capacity.burst import Series
from absa_server.capacity.errors import MissingDependency


def draw(series: Series, *, title: str, assumptions: str, file: Path) -> None:
    """Write the PNG; `assumptions` stand below the panels. Raises `MissingDependency`."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingDependency("pictures need matplotlib: pip install 'absa-server[plan]'") from None
    figure = Figure(figsize=(10, 9.5), layout="constrained")
    traffic, latency, instances = figure.subplots(3, sharex=True)
    minutes = [time_s / 60 for time_s in series.time_s]
    traffic.plot(minutes, series.offered_rps, color="black", linewidth=1, label="offered")
    traffic.plot(minutes, series.answered_rps, color="tab:green", linewidth=1, label="answered")
    traffic.plot(minutes, series.refused_rps, color="tab:red", linewidth=1, label="refused (429)")
    traffic.set(ylabel="requests per second", title=title)
    queue = latency.twinx()
    (late,) = latency.plot(minutes, [1000 * value for value in series.latency_s], color="tab:blue", linewidth=1)
    (waiting,) = queue.plot(minutes, series.in_system, color="tab:orange", linewidth=1)
    latency.set(ylabel="latency of an arrival, ms", yscale="log")
    queue.set(ylabel="requests in the system")
    latency.legend([late, waiting], ["latency", "in the system"], loc="upper right")
    instances.step(minutes, series.desired, color="grey", linewidth=1, where="post", label="desired")
    instances.step(minutes, series.ready, color="tab:purple", linewidth=1.5, where="post", label="in service")
    instances.set(ylabel="instances", xlabel="minutes", ylim=(0, None))
    for axes in (traffic, instances):
        axes.legend(loc="upper right")
    for axes in (traffic, latency, instances):
        axes.grid(visible=True, alpha=0.25)
    figure.supxlabel(assumptions, fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=100)
