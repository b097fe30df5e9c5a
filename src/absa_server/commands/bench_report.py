"""How `absa bench` shows its figures: a bar for the cell that runs, a table, and sentences. Measures nothing."""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.progress import Progress, ProgressColumn, Task, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Table

if TYPE_CHECKING:
    from absa_server.benchmark.cells import Cell
    from absa_server.benchmark.session import Knee


class _ElapsedBar(ProgressColumn):
    """Fills as the expected time passes: a cell's length is known, its requests are nobody's progress."""

    max_refresh = 0.2

    def render(self, task: Task) -> RenderableType:
        total = task.total or 1.0
        return ProgressBar(total=total, completed=min(total, task.elapsed or 0.0), width=30)


class CellProgress:
    """Shows which cell runs, and one line for each that is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(TextColumn("{task.description:<40}"), _ElapsedBar(), console=console, transient=True)
        self._task = self._progress.add_task("starting", total=1.0)

    def __enter__(self) -> "CellProgress":
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._progress.stop()

    def begin(self, what: str, expected_s: float) -> None:
        """Show `what` with an empty bar."""
        self._progress.reset(self._task, total=max(expected_s, 0.1), description=what)

    def done(self, cell: "Cell") -> None:
        """Print the cell's line above the bar."""
        self._console.print(
            f"{cell.purpose:<13} {_load(cell):>10}  {cell.throughput_texts_s:8.1f} texts/s  "
            f"p50 {_or_dash(cell.p50_ms, '.1f')}  p99 {_or_dash(cell.p99_ms, '.1f')} ms  "
            f"errors {sum(cell.errors.values())}"
        )


def cell_table(cells: Sequence["Cell"]) -> Table:
    """All cells, in the order of measuring; milliseconds. The JSON has more of each."""
    table = Table("load", "texts/s", "p50", "p95", "p99", "max", "errors", "CPU-s per\n1,000 texts", "client\ncores")
    for cell in cells:
        errors = ", ".join(f"{status}: {count}" for status, count in cell.errors.items())
        table.add_row(
            f"{_load(cell)}{' *' if cell.is_generator_limited else ''}",
            f"{cell.throughput_texts_s:.1f}",
            *(_or_dash(value, ".0f") for value in (cell.p50_ms, cell.p95_ms, cell.p99_ms, cell.max_ms)),
            errors or "0",
            _or_dash(cell.server_cpu_s_per_1000_texts, ".1f"),
            f"{cell.generator_cores:.2f}",
        )
    return table


def knee_lines(knees: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """For each knee of the document: MAX_RPS and the scaling targets that follow."""
    for knee in knees:
        slo, targets = f"p99 ≤ {knee['slo_ms']:.0f} ms", knee["targets"]
        if knee["max_rps"] is None or targets is None:
            yield f"{slo}: no rate that was tried meets it"
            continue
        yield f"{slo}: MAX_RPS={knee['max_rps']:.1f} (mean {knee['mean_ms']:.0f} ms, p99 {knee['p99_ms']:.0f} ms)"
        yield (
            f"  scaling at {targets['safety_factor']:g} of it: "
            f"InvocationsPerInstance={targets['invocations_per_instance_per_minute']} a minute, "
            f"ConcurrentRequests={targets['concurrent_requests_per_instance']:g} an instance"
        )


def warnings(cells: Sequence["Cell"], knees: Sequence["Knee"]) -> Iterator[str]:
    """What a reader of the figures must know about them."""
    if any(cell.is_generator_limited for cell in cells):
        yield "[yellow]*[/yellow] the load generator itself was busy or late in this cell: its figures are the client's"
    for knee in knees:
        if knee.max_rps is None:
            continue
        name = f"p99 ≤ {knee.slo_ms:.0f} ms"
        if knee.is_generator_limited:
            yield f"[yellow]{name}:[/yellow] the rate above the knee failed with a busy client; use a second machine"
        if not knee.is_bounded:
            yield f"[yellow]{name}:[/yellow] no rate failed: the true knee is higher"
        if not knee.is_confirmed:
            yield f"[yellow]{name}:[/yellow] not confirmed by a longer run: treat the knee as an upper bound"
        if any(cell.seconds * 1000 < 10 * knee.slo_ms for cell in cells if cell.purpose == "search"):
            yield f"[yellow]{name}:[/yellow] measurements shorter than ten times the limit forgive an overloaded server"


def _load(cell: "Cell") -> str:
    return f"{cell.offered_rps:.1f}/s" if cell.offered_rps else f"c={cell.concurrency}"


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
