"""The drill of int8: what it costs in answers and gains in speed, asked over HTTP from the artifact to be served.

Packs the models with int8 networks, calibrated and chosen on the file `--calibrate` alone; serves the archive in
float32 and in int8, and scores both on gold files that packing never saw. Exit code 1 below the bar.
"""

import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from absa_server.packaging.int8 import Int8Options
from absa_server.packaging.package import PackOptions, package
from absa_server.packaging.recipes import RECIPES, Recipe
from absa_server.packaging.staging import Inputs
from tests.drills.demo import ask, spans
from tests.drills.reference_answers import read_records
from tests.drills.scoring import score
from tests.integration.server_process import ServerProcess

PRECISIONS = ("f32", "int8")
# F1 of the terms found, and accuracy of the polarities of given aspects.
FIGURES = ("ATE F1", "ASC accuracy")

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Served:
    """What one precision answered to one gold file: its scores, and texts per second one request after another."""

    scores: tuple[float, float]
    found: list[list[dict[str, object]]]
    polarities: list[object]
    texts_per_s: float


@app.command()
def main(
    *,
    models: Annotated[Path, typer.Option(help="Folder of aspect/ and sentiment/.", exists=True, resolve_path=True)],
    calibrate: Annotated[Path, typer.Option(help="Real reviews to calibrate and to choose on.", exists=True)],
    gold: Annotated[list[Path], typer.Option(help="JSON Lines with aspects, to be scored once.", exists=True)],
    scorer: Annotated[Path, typer.Option(help="A program: SCORER GOLD PREDICTIONS prints JSON.", exists=True)],
    max_drop: Annotated[float, typer.Option(help="Most that either figure may fall.")] = 0.005,
    keep: Annotated[Path | None, typer.Option(help="Folder for the archive; default: a temporary one.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where networks that were made before are kept.")] = None,
) -> None:
    """Pack MODELS with int8 and hold its answers against those of float32."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        artifact = pack(
            models, calibrate, keep or work, work / "artifact", max_drop=max_drop, console=console, cache=cache
        )
        drops = [drop for file in gold for drop in compare(artifact, file, scorer, work, console=console)]
    raise typer.Exit(0 if all(drop <= max_drop for drop in drops) else 1)


def pack(
    models: Path,
    calibrate: Path,
    out: Path,
    unpacked: Path,
    *,
    max_drop: float,
    console: Console,
    recipes: Sequence[Recipe] = RECIPES,
    cache: Path | None = None,
) -> Path:
    """The unpacked artifact with int8 networks."""
    options = PackOptions(is_measured=False, int8=Int8Options(calibrate, max_drop, tuple(recipes)))
    begin = time.monotonic()
    packed = package(
        Inputs(models),
        out / "int8.tar.gz",
        options,
        cache_dir=cache or out / "cache",
        say=console.print,
    )
    console.print(f"{packed.file.name}: {packed.size_bytes:,} bytes after {time.monotonic() - begin:.0f} s")
    with tarfile.open(packed.file) as tar:
        tar.extractall(unpacked, filter="data")
    return unpacked


def compare(artifact: Path, gold: Path, scorer: Path, work: Path, *, console: Console) -> list[float]:
    """By how much each figure falls from float32 to int8 on one gold file; a table is printed."""
    served = {precision: serve(artifact, precision, gold, scorer, work) for precision in PRECISIONS}
    f32, int8 = (served[precision] for precision in PRECISIONS)
    drops = [one - other for one, other in zip(f32.scores, int8.scores, strict=True)]
    table = Table("figure", *PRECISIONS, "drop")
    for figure, one, other, drop in zip(FIGURES, f32.scores, int8.scores, drops, strict=True):
        table.add_row(figure, f"{one:.4f}", f"{other:.4f}", f"{drop:+.4f}")
    table.add_row("texts/s, batches of 32", f"{f32.texts_per_s:.0f}", f"{int8.texts_per_s:.0f}", "")
    console.print(f"{gold.stem}, {len(f32.found)} texts, {len(f32.polarities)} given aspects")
    console.print(table)
    console.print(
        f"as in float32: spans of {_equal(f32.found, int8.found):.2%} of the texts, "
        f"polarities of {_equal(f32.polarities, int8.polarities):.2%} of the aspects"
    )
    return drops


def _equal(one: Sequence[object], other: Sequence[object]) -> float:
    return sum(a == b for a, b in zip(one, other, strict=True)) / max(1, len(one))


def serve(artifact: Path, precision: str, gold: Path, scorer: Path, work: Path) -> Served:
    """What a server of the artifact answers in that precision; its self-test must pass first."""
    environment = {"ABSA_MODEL_DIR": str(artifact), "ABSA_PRECISION": precision, "ABSA_SELF_TEST": "true"}
    with ServerProcess(environment, log=work / f"{precision}.log") as server:
        server.wait_until_ready()
        engines = [event["engine"] for event in server.events("engine_loaded")]
        assert engines == [f"openvino {precision}"] * len(engines), engines
        records = read_records(gold)
        texts = [{"text": record["text"]} for record in records]
        ask(server.url, texts[:64])
        begin = time.monotonic()
        found = ask(server.url, texts)
        seconds = time.monotonic() - begin
        given = ask(server.url, [{"text": record["text"], "aspects": spans(record)} for record in records])
    return Served(
        scores=(
            score(scorer, gold, records, found)["ate"]["f1"],
            score(scorer, gold, records, given)["standard"]["asc_acc"],
        ),
        found=[spans(answer) for answer in found],
        polarities=[aspect["polarity"] for answer in given for aspect in answer["aspects"]],
        texts_per_s=len(texts) / seconds,
    )


if __name__ == "__main__":
    app()
