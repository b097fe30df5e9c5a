"""The drill of the start: from nothing to `/ping` 200, and from one model to the same again. Medians against bars.

A plain folder for the first time (converted, compiled), the same with a warm cache or an artifact that brings its
networks, and a reload within one process. CPU seconds stand beside: on a busy machine they tell more than the clock.
"""

import http.client
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from absa_server.benchmark.process_tree import cpu_s
from absa_server.engines.cores import available_cores
from absa_server.engines.factory import EngineChoice
from absa_server.serving.cache_disk import CacheDisk
from absa_server.serving.engine_cache import EngineCache
from absa_server.serving.loading import EngineOptions, load_model
from tests.integration.server_process import READY_S, ServerFailed, ServerProcess

POLL_S = 0.01

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds by the clock, and of CPU in all processes that took part and have not ended before their parent."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Every repetition of each part."""

    first: list[Taken]
    warm: list[Taken]
    reload: list[Taken]


@app.command()
def main(
    *,
    models: Annotated[Path, typer.Option(help="Folder of aspect/ and sentiment/.", exists=True, resolve_path=True)],
    artifact: Annotated[Path | None, typer.Option(help="Packed with networks; starts and reloads use it.")] = None,
    times: Annotated[int, typer.Option(help="Repetitions with a warm cache.")] = 7,
    first_times: Annotated[int, typer.Option(help="Repetitions with an empty cache.")] = 3,
    warm_s: Annotated[float, typer.Option(help="Most seconds to start with a warm cache.")] = 2.0,
    first_s: Annotated[float, typer.Option(help="Most seconds of a plain folder's first start.")] = 20.0,
    reload_s: Annotated[float, typer.Option(help="Most seconds to load the same model again.")] = 0.3,
) -> None:
    """Start servers of MODELS, and load MODELS again and again."""
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder, Console().status("measuring …"):
        packed = artifact.resolve() if artifact else models
        figures = measure(models, packed, Path(folder), times=times, first_times=first_times)
    bars = {"plain folder, first time": first_s, "compiled, cache warm": warm_s, "reload in one process": reload_s}
    table = Table("", "median s", "best", "worst", "CPU s", "bar s")
    are_met = []
    for (name, bar), taken in zip(bars.items(), (figures.first, figures.warm, figures.reload), strict=True):
        walls = [one.wall_s for one in taken]
        are_met.append(statistics.median(walls) <= bar)
        columns = (statistics.median(walls), min(walls), max(walls), statistics.median(one.cpu_s for one in taken), bar)
        table.add_row(name, *(f"{seconds:.2f}" for seconds in columns))
    Console().print(table)
    raise typer.Exit(0 if all(are_met) else 1)


def measure(models: Path, packed: Path, folder: Path, *, times: int, first_times: int) -> Figures:
    """All parts; caches lie in `folder`, and what the last first start left is the warm one."""
    first = [start(models, folder / f"cache-{number}", folder) for number in range(first_times)]
    cache = folder / f"cache-{first_times - 1}"
    if packed != models:
        start(packed, cache, folder)
    warm = [start(packed, cache, folder) for _ in range(times)]
    return Figures(first, warm, reload(packed, cache, times=times))


def start(models: Path, cache: Path, folder: Path) -> Taken:
    """From the command to the first `/ping` that is answered with 200."""
    begin_s = time.monotonic()
    with ServerProcess({"ABSA_MODEL_DIR": str(models), "ABSA_CACHE_DIR": str(cache)}, log=folder / "log") as server:
        while not _is_ready(server.port):
            if not server.is_running or time.monotonic() - begin_s > READY_S:
                raise ServerFailed(f"no /ping 200; the server's log ends with {server.log[-1000:]}")
            time.sleep(POLL_S)
        return Taken(time.monotonic() - begin_s, cpu_s(server.pid))


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    return False


def reload(models: Path, cache: Path, *, times: int) -> list[Taken]:
    """Loads of a model that this process has loaded and freed before, as the server loads it."""
    choice = EngineChoice(streams=available_cores(), threads=1, cache=EngineCache(CacheDisk(cache)))
    options = EngineOptions(choice)
    load_model(models, options).close()
    return [_timed(lambda: load_model(models, options).close) for _ in range(times)]


def _timed(load: Callable[[], Callable[[], None]]) -> Taken:
    begin_s, cpu_begin_s = time.perf_counter(), time.process_time()
    close = load()
    taken = Taken(time.perf_counter() - begin_s, time.process_time() - cpu_begin_s)
    close()
    return taken


if __name__ == "__main__":
    app()
