"""The drill of the demo models: how good they are, asked over HTTP from a real server.

On two sets of sentences written by hand (end-to-end F1: exact span and right polarity), and on any gold files with a
scorer (F1 of the terms found; accuracy of the polarities of given ones). Exit code 1 below a bar.

The first set has a bar: its writer never saw the generator, and nothing was tuned on it. The second was scored many
times while the generator grew, and is harder; it has no bar, because it is no longer a measure of anything unseen.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from tests.drills.reference_answers import read_records
from tests.drills.scoring import score
from tests.integration.server_process import ServerProcess

TRAINING = Path(__file__).parents[1] / "training"
HANDWRITTEN = TRAINING / "handwritten_reviews.jsonl"
DEVELOPMENT = TRAINING / "development_reviews.jsonl"
BATCH = 32

app = typer.Typer(add_completion=False)


@app.command()
def main(
    *,
    models: Annotated[Path, typer.Option(help="Folder of aspect/ and sentiment/.", exists=True, resolve_path=True)],
    gold: Annotated[list[Path] | None, typer.Option(help="JSON Lines with aspects, to be scored.")] = None,
    scorer: Annotated[Path | None, typer.Option(help="A program: SCORER GOLD PREDICTIONS prints JSON.")] = None,
    handwritten_f1: Annotated[float, typer.Option(help="Least end-to-end F1 on the handwritten sentences.")] = 0.80,
    ate_f1: Annotated[float, typer.Option(help="Least F1 of the terms found in gold files.")] = 0.40,
    asc_accuracy: Annotated[float, typer.Option(help="Least accuracy of the polarities of given aspects.")] = 0.70,
) -> None:
    """Serve MODELS and measure their answers."""
    table = Table("texts", "figure", "measured", "bar")
    figures: list[tuple[float, float]] = []

    def add(texts: str, figure: str, value: float, least: float) -> None:
        table.add_row(texts, figure, f"{value:.4f}", f"{least:.2f}" if least else "-")
        figures.append((value, least))

    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcess({"ABSA_MODEL_DIR": str(models)}, log=Path(folder) / "log") as server,
    ):
        server.wait_until_ready()
        for file, name, least in ((HANDWRITTEN, "handwritten", handwritten_f1), (DEVELOPMENT, "development", 0.0)):
            records = read_records(file)
            found = ask(server.url, [{"text": record["text"]} for record in records])
            add(f"{len(records)} {name}", "end-to-end F1", end_to_end_f1(records, found), least)
        for file in gold or () if scorer else ():
            records = read_records(file)
            found = ask(server.url, [{"text": record["text"]} for record in records])
            given = ask(server.url, [{"text": record["text"], "aspects": spans(record)} for record in records])
            add(file.stem, "ATE F1", score(scorer, file, records, found)["ate"]["f1"], ate_f1)
            add(file.stem, "ASC accuracy", score(scorer, file, records, given)["standard"]["asc_acc"], asc_accuracy)
    Console().print(table)
    raise typer.Exit(0 if all(value >= least for value, least in figures) else 1)


def spans(record: dict[str, Any]) -> list[dict[str, int]]:
    """A record's aspects as the server takes them."""
    return [{"start": aspect["start"], "end": aspect["end"]} for aspect in record["aspects"]]


def ask(url: str, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The server's answers to `records`, some at a time."""
    answers: list[dict[str, Any]] = []
    for start in range(0, len(records), BATCH):
        response = httpx.post(f"{url}/invocations", json={"inputs": records[start : start + BATCH]}, timeout=120)
        answers += response.raise_for_status().json()["results"]
    return answers


def end_to_end_f1(records: Sequence[dict[str, Any]], answers: Sequence[dict[str, Any]]) -> float:
    """Micro F1 over (text, start, end, polarity)."""
    gold, predicted = (
        {
            (index, aspect["start"], aspect["end"], aspect["polarity"])
            for index, row in enumerate(rows)
            for aspect in row["aspects"]
        }
        for rows in (records, answers)
    )
    return 2 * len(gold & predicted) / max(1, len(gold) + len(predicted))


if __name__ == "__main__":
    app()
