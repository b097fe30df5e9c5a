"""What a GPU gives: ms a batch and rows a second by precision and size, how far answers are from the CPU's, memory.

Interleaved rounds, medians told. Each model of the artifact at `--models`. Without a GPU it says so and measures torch
on the CPU in the same way. Run by `make drill-gpu`.
"""

import logging
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from absa_server.absa.artifact import open_artifact
from absa_server.absa.checkpoint import Checkpoint
from absa_server.engines.cores import available_cores
from absa_server.engines.gpu import GPU_STREAMS, gpu_memory_bytes
from absa_server.engines.torch import TorchEngine, load_torch_engine
from absa_server.engines.torch_devices import CpuDevice, choose_device

# Short texts alone and in batches, whole reviews, and the largest batches that the server makes on a GPU by default.
SIZES = ((1, 24), (32, 24), (680, 24), (8, 128), (128, 128))
HIGHEST_ID = 60  # in every vocabulary, the tests' tiny one included


def load(found: Checkpoint, *, on_cpu: bool, precision: str, streams: int) -> TorchEngine:
    """The model on the CPU, or where torch would put it."""
    return load_torch_engine(
        found.folder,
        task=found.task,
        labels=len(found.id2label),
        threads=available_cores(),
        streams=streams,
        precision=precision,
        device=CpuDevice() if on_cpu else choose_device(streams),
    )


def batch(rows: int, length: int) -> tuple[np.ndarray, np.ndarray, None]:
    """Random ids, nothing padded."""
    ids = np.random.default_rng(rows * length).integers(5, HIGHEST_ID, (rows, length))
    return ids, np.ones_like(ids), None


def call_ms(engine: TorchEngine, given: tuple) -> float:
    """Milliseconds of one call."""
    begin = time.perf_counter()
    engine.infer(*given)
    return 1000 * (time.perf_counter() - begin)


def rows_per_second(engine: TorchEngine, given: tuple, calls: int) -> float:
    """Rows a second with as many threads as the engine has streams: copies overlap arithmetic, where they can."""
    with ThreadPoolExecutor(engine.streams) as pool:
        begin = time.perf_counter()
        list(pool.map(lambda _: engine.infer(*given), range(calls)))
    return calls * len(given[0]) / (time.perf_counter() - begin)


def measure(found: Checkpoint, *, rounds: int, streams: int, most_rows: int) -> Table:
    """Every size with every engine."""
    reference = load(found, on_cpu=True, precision="f32", streams=1)
    engines = [load(found, on_cpu=False, precision=name, streams=streams) for name in ("f32", "bf16")]
    table = Table("rows x tokens", "engine", "ms a call", f"rows/s, {streams} threads", "furthest logit", "of scale")
    for rows, length in SIZES:
        given = batch(min(rows, most_rows), length)
        expected = reference.infer(*given)
        milliseconds: dict[str, list[float]] = {engine.name: [] for engine in engines}
        for _ in range(rounds + 1):  # the first allocates
            for engine in engines:
                milliseconds[engine.name].append(call_ms(engine, given))
        for engine in engines:
            distance, scale = np.abs(engine.infer(*given) - expected).max(), np.abs(expected).max()
            median = statistics.median(milliseconds[engine.name][1:])
            speed = rows_per_second(engine, given, max(2, rounds))
            size = f"{len(given[0])}x{length}"
            table.add_row(size, engine.name, f"{median:.2f}", f"{speed:,.0f}", f"{distance:.1e}", f"{scale:.1f}")
    table.caption = ", ".join(f"{engine.name}: weights {engine.resident_bytes / 1e6:.0f} MB" for engine in engines)
    for engine in (reference, *engines):
        engine.close()
    return table


def main(
    *,
    models: Annotated[Path, typer.Option(help="An artifact with weights.", exists=True, file_okay=False)],
    rounds: Annotated[int, typer.Option(help="Calls of each size.", min=1)] = 20,
    streams: Annotated[int, typer.Option(help="Calls side by side.", min=1)] = GPU_STREAMS,
    most_rows: Annotated[int, typer.Option(help="No batch has more rows.", min=1)] = 1000,
) -> None:
    """Measure torch on this machine's GPU against its CPU."""
    logging.disable(logging.INFO)
    console = Console(highlight=False)
    if torch.cuda.is_available():
        console.print(f"GPU: {torch.cuda.get_device_name()}, torch {torch.__version__}")
    else:
        console.print(f"no GPU that torch {torch.__version__} can use: measuring the CPU")
    artifact = open_artifact(models)
    for found in filter(None, (artifact.aspect, artifact.sentiment)):
        console.print(f"{found.folder.name}/")
        console.print(measure(found, rounds=rounds, streams=streams, most_rows=most_rows))
        console.print(f"GPU memory kept after closing: {gpu_memory_bytes() / 1e6:.0f} MB")


if __name__ == "__main__":
    typer.run(main)
