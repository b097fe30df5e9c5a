"""`absa bench`: load on a server, its knee, and what follows for scaling. Knows what is typed and shown.

What measures is imported by the functions that need it: `absa --help` is quick.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from absa_server.commands.bench_report import CellProgress, cell_table, knee_lines, warnings

if TYPE_CHECKING:
    from absa_server.benchmark.run import Result, Server
    from absa_server.benchmark.session import Plan
    from absa_server.benchmark.texts import Target

ABSA = Path(sys.executable).parent / "absa"

Texts = Annotated[
    Path, typer.Option(help="Texts to send: JSON Lines with a field `text`, or one text a line.", exists=True)
]
Url = Annotated[str | None, typer.Option(help="A running server, such as http://127.0.0.1:8080.")]
Pid = Annotated[int | None, typer.Option(help="The running server's process: its CPU and memory are reported.", min=1)]
ModelDir = Annotated[
    Path | None, typer.Option(help="Start a server of our own with these models instead.", exists=True, file_okay=False)
]
SloMs = Annotated[list[float], typer.Option(help="A knee is sought for each such limit of p99.", min=1)]
Seconds = Annotated[float, typer.Option(help="Length of one measurement; at least ten times the limit.", min=0.1)]
Warm = Annotated[float, typer.Option(help="Seconds of load before anything counts.", min=0)]
Rounds = Annotated[int, typer.Option(help="Measure each point so often; the median decides.", min=1, max=20)]
Concurrency = Annotated[str, typer.Option(help="Closed-loop clients to measure, comma-separated; empty: none.")]
Rates = Annotated[str, typer.Option(help="Open-loop requests a second to measure besides, comma-separated.")]
PerRequest = Annotated[int, typer.Option(help="Texts that one request carries.", min=1, max=1000)]
Safety = Annotated[float, typer.Option(help="Share of the knee that scaling aims at.", min=0.05, max=1)]
MaxMinutes = Annotated[float, typer.Option(help="The search for knees ends then, unfinished if need be.", min=0.1)]
Label = Annotated[str, typer.Option(help="What is measured, in your words; stands in the JSON and the picture.")]
Out = Annotated[Path, typer.Option(help="JSON to write; `absa plan` reads it.", dir_okay=False)]
Picture = Annotated[Path | None, typer.Option(help="PNG to write: latency against rate (needs matplotlib).")]
Limit = Annotated[int, typer.Option(help="Distinct texts used, at most.", min=1)]


def bench(  # noqa: PLR0913  one parameter an option
    *,
    texts: Texts,
    url: Url = None,
    pid: Pid = None,
    model_dir: ModelDir = None,
    slo_ms: SloMs = [1000.0],  # noqa: B006  typer reads the default and never changes it
    seconds: Seconds = 10.0,
    warm: Warm = 5.0,
    rounds: Rounds = 1,
    concurrency: Concurrency = "1,8,32",
    rates: Rates = "",
    texts_per_request: PerRequest = 1,
    safety_factor: Safety = 0.5,
    max_minutes: MaxMinutes = 15.0,
    limit: Limit = 800,
    label: Label = "",
    out: Out = Path("bench.json"),
    picture: Picture = None,
) -> None:
    """Measure a server: latency, throughput, cost, and the highest rate that meets a limit of p99.

    Closed loop first (each client waits for its answer), then open loop: requests come at random moments, whether or
    not the server keeps up, and latency counts from the moment a request was meant to be sent.

    For example:

    - `absa bench --model-dir .demo/models --texts reviews.jsonl --slo-ms 250 --slo-ms 1000`

    - `absa bench --url http://127.0.0.1:8080 --pid 4711 --texts reviews.txt --rounds 3 --picture bench.png`
    """
    from absa_server.benchmark.errors import BenchmarkError  # noqa: PLC0415

    console = Console(highlight=False)
    try:
        plan = _plan(
            _target(url, model_dir), slo_ms=slo_ms, seconds=seconds, warm=warm, rounds=rounds, concurrency=concurrency,
            rates=rates, texts_per_request=texts_per_request, max_minutes=max_minutes,
        )  # fmt: skip
        with _server(plan.target, pid=pid, model_dir=model_dir) as server:
            result = _measure(plan, texts, limit, server=server, safety_factor=safety_factor, label=label,
                              console=console)  # fmt: skip
        _write(result, out, picture, title=label or plan.target.address)
    except BenchmarkError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None
    _show(result, out, picture, console=console)


def _target(url: str | None, model_dir: Path | None) -> "Target":
    from absa_server.benchmark.server import free_port  # noqa: PLC0415
    from absa_server.benchmark.texts import parse_target  # noqa: PLC0415

    if (url is None) == (model_dir is None):
        raise typer.BadParameter("give either --url or --model-dir")
    return parse_target(url or f"http://127.0.0.1:{free_port()}")


def _plan(  # noqa: PLR0913  the options that make a plan
    target: "Target", *, slo_ms: list[float], seconds: float, warm: float, rounds: int, concurrency: str, rates: str,
    texts_per_request: int, max_minutes: float,
) -> "Plan":  # fmt: skip
    from absa_server.benchmark.session import Plan  # noqa: PLC0415

    return Plan(
        target=target,
        texts_per_request=texts_per_request,
        warm_s=warm,
        seconds=seconds,
        rounds=rounds,
        concurrencies=tuple(int(value) for value in _numbers(concurrency, "--concurrency")),
        rates_rps=tuple(_numbers(rates, "--rates")),
        slos_ms=tuple(sorted(slo_ms)),
        max_total_s=60 * max_minutes,
    )


def _numbers(text: str, option: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = [0.0]
    if not all(1 <= number <= 100_000 for number in numbers):
        raise typer.BadParameter(
            f"expected numbers from 1 to 100000 with commas between, got {text!r}", param_hint=option
        )
    return numbers


@contextmanager
def _server(target: "Target", *, pid: int | None, model_dir: Path | None) -> Iterator["Server"]:
    from absa_server.benchmark.run import Server  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as work:
        command = None
        if model_dir is not None:
            options = ("--model-dir", str(model_dir), "--host", target.host, "--port", str(target.port))
            command = [str(ABSA), "serve", *options]
        yield Server(command=command, pid=pid, log=Path(work) / "server.log")


def _measure(
    plan: "Plan", texts: Path, limit: int, *, server: "Server", safety_factor: float, label: str, console: Console
) -> "Result":
    from absa_server.benchmark.run import run_benchmark  # noqa: PLC0415
    from absa_server.benchmark.texts import read_texts  # noqa: PLC0415

    lines = read_texts(texts, limit=limit)
    console.print(f"{len(lines)} texts, {plan.texts_per_request} a request, to http://{plan.target.address}")
    with CellProgress(console) as observer:
        return run_benchmark(plan, lines, server=server, observer=observer, safety_factor=safety_factor, label=label)


def _write(result: "Result", out: Path, picture: Path | None, *, title: str) -> None:
    from absa_server.benchmark.document import write_document  # noqa: PLC0415
    from absa_server.benchmark.picture import draw  # noqa: PLC0415

    write_document(result.document, out)
    if picture is not None:
        draw(result.cells, result.knees, title=title, file=picture)


def _show(result: "Result", out: Path, picture: Path | None, *, console: Console) -> None:
    console.print(cell_table(result.cells))
    if result.memory is not None:
        peak_mb, pss_mb = (
            value / 1e6 for value in (result.memory.peak_resident_bytes, result.memory.proportional_bytes)
        )
        console.print(f"memory: {peak_mb:,.0f} MB peak resident, {pss_mb:,.0f} MB proportional at the end")
    for line in (*knee_lines(result.document["knees"]), *warnings(result.cells, result.knees)):
        console.print(line, soft_wrap=True)
    written: Sequence[Path] = [file for file in (out, picture) if file is not None]
    console.print(f"written: {', '.join(escape(str(file)) for file in written)}", soft_wrap=True)
