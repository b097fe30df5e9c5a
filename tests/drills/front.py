"""The drill of the front alone: requests a second and core when the engine answers at once, and where the time goes.

The real server process (gunicorn, uvicorn, the application, the models' own tokenizers) under closed-loop load. Counted
are requests by second of the server's CPU time, whatever else the machine does. Exit code 1 below the bar.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

from absa_server.benchmark.cells import Cell, summarise
from absa_server.benchmark.generator import Generator
from absa_server.benchmark.load import Job
from absa_server.benchmark.process_tree import ProcessWatch
from absa_server.benchmark.texts import build_requests, parse_target, read_texts
from tests.drills.front_app import PROFILE
from tests.integration.server_process import ROOT, ServerProcess
from tests.tiny_models import write_sentences

SHOWN = 25

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: `texts` one a request, by `concurrency` clients, for `seconds` a round."""

    texts: Sequence[str]
    seconds: float
    concurrency: int


@app.command()
def main(
    *,
    models: Annotated[Path, typer.Option(help="Folder of aspect/ and sentiment/.", exists=True, resolve_path=True)],
    texts: Annotated[Path | None, typer.Option(help="JSON Lines with a field text, or one text a line.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of a round.")] = 10.0,
    rounds: Annotated[int, typer.Option(help="Rounds; their median counts.")] = 5,
    concurrency: Annotated[int, typer.Option(help="Requests under way at a time.")] = 32,
    least: Annotated[float, typer.Option(help="Least requests by CPU second.")] = 1500.0,
) -> None:
    """Serve MODELS without their networks and measure what the rest costs."""
    console = Console()
    load = Load(read_texts(texts) if texts else [one.text for one in write_sentences(256)], seconds, concurrency)
    with tempfile.TemporaryDirectory() as folder, console.status("measuring …"):
        cells, aspects = measure(models, Path(folder), load, rounds=rounds)
        tables = profile(models, Path(folder), load)
    for table in tables:
        console.print(table)
    rates = sorted(per_cpu_second(cell) for cell in cells)
    rate = statistics.median(rates)
    console.print(
        f"{rate:.0f} requests by CPU second, {1e6 / rate:.0f} µs each (bar {least:.0f}; rounds: "
        f"{', '.join(f'{one:.0f}' for one in rates)}); {statistics.median(cell.throughput_rps for cell in cells):.0f} "
        f"requests/s at concurrency {concurrency}; {aspects:.2f} aspects a text"
    )
    raise typer.Exit(0 if rate >= least else 1)


def per_cpu_second(cell: Cell) -> float:
    """Requests answered by second of the server's CPU time, all its threads and processes together."""
    return 1000 / (cell.server_cpu_s_per_1000_texts or float("inf"))


def measure(models: Path, folder: Path, load: Load, *, rounds: int) -> tuple[list[Cell], float]:
    """A cell a round, and how many aspects a text gets. Raises AssertionError for an answer that is not 200."""
    with _front("create_front", models, folder) as server:
        server.wait_until_ready()
        aspects = statistics.fmean(_aspects(server.url, text) for text in load.texts[:64])
        return _cells(server, load, rounds), aspects


def profile(models: Path, folder: Path, load: Load) -> list[Table]:
    """Tables of CPU time a request, by thread and module and by thread and function, in a run of its own."""
    file = folder / "profile.json"
    with _front("create_profiled_front", models, folder, {PROFILE: str(file)}) as server:
        server.wait_until_ready()
        [cell] = _cells(server, load, 1)
    seen: dict[str, list[tuple[str, str, float]]] = json.loads(file.read_text())
    cpu_s = sum(seconds for _, _, seconds in seen["modules"])
    request_us = 1e6 / per_cpu_second(cell)
    return [_table(by, [(kind, what, s / cpu_s * request_us) for kind, what, s in rows]) for by, rows in seen.items()]


def _table(by: str, rows: list[tuple[str, str, float]]) -> Table:
    table = Table("thread", by, "µs", title=f"CPU time a request, profiled, by {by}: {sum(r[2] for r in rows):.0f} µs")
    for kind, what, microseconds in sorted(rows, key=lambda row: -row[2])[:SHOWN]:
        table.add_row(kind, what, f"{microseconds:.1f}")
    return table


def _front(factory: str, models: Path, folder: Path, environment: dict[str, str] | None = None) -> ServerProcess:
    command = (sys.executable, "-m", "gunicorn", "--config", "python:absa_server.gunicorn_conf", "--pythonpath")
    return ServerProcess(
        {"ABSA_MODEL_DIR": str(models)} | (environment or {}),
        log=folder / f"{factory}.log",
        command=(*command, str(ROOT), f"tests.drills.front_app:{factory}()"),
    )


def _aspects(url: str, text: str) -> int:
    response = httpx.post(f"{url}/invocations", json={"text": text}, trust_env=False)
    return len(response.raise_for_status().json()["aspects"])


def _cells(server: ServerProcess, load: Load, rounds: int) -> list[Cell]:
    target = parse_target(server.url)
    job = Job(target, lead_in_s=load.seconds / 5, seconds=load.seconds, drain_s=10, concurrency=load.concurrency)
    cells = []
    with Generator(build_requests(target, load.texts, texts_per_request=1)) as generator, ProcessWatch(server.pid) as w:
        generator.run(Job(target, lead_in_s=0, seconds=load.seconds / 5, drain_s=10, concurrency=load.concurrency))
        for _ in range(rounds):
            w.begin()
            trace = generator.run(job)
            cells.append(summarise(job, trace, purpose="front", texts_per_request=1, usage=w.usage()))
    assert not any(cell.errors for cell in cells), [cell.errors for cell in cells]
    return cells


if __name__ == "__main__":
    app()
