"""The drill of the reference: a real server's answers over HTTP against an independent reference, on real texts.

`python -m tests.drills.reference --help`. Takes minutes; exit code 1 if anything differs.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from transformers.utils.logging import disable_progress_bar

from tests.drills.reference_answers import Labelled, read_records, reference_answers
from tests.drills.reference_checks import Outcome, ReferenceChecks
from tests.drills.scoring import score
from tests.integration.server_process import ServerProcess

SHOWN_DIFFERENCES = 10
COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
DEFAULT_CACHE = Path(tempfile.gettempdir()) / "absa-reference-answers"

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Goals:
    """The scorer, and what it must print at least: F1 of the terms found, accuracy of the polarities of given ones."""

    scorer: Path
    ate_f1: float
    asc_accuracy: float


@app.command()
def main(
    *,
    models: Annotated[Path, typer.Option(help="Folder of aspect/ and sentiment/.", exists=True, resolve_path=True)],
    gold: Annotated[list[Path] | None, typer.Option(help="JSON Lines with aspects: compared, and scored.")] = None,
    texts: Annotated[list[Path] | None, typer.Option(help="JSON Lines of texts: compared.")] = None,
    scorer: Annotated[Path | None, typer.Option(help="A program: SCORER GOLD PREDICTIONS prints JSON.")] = None,
    ate_f1: Annotated[float, typer.Option(help="Least F1 of the terms found.")] = 0.855,
    asc_accuracy: Annotated[float, typer.Option(help="Least accuracy of the polarities of given aspects.")] = 0.81,
    cache: Annotated[Path, typer.Option(help="Where the reference's answers are kept.")] = DEFAULT_CACHE,
    env: Annotated[list[str] | None, typer.Option(help="A variable of the server, NAME=VALUE.")] = None,
) -> None:
    """Serve MODELS, and hold every answer against plain transformers, one text at a time."""
    torch.set_num_threads(1)  # rows of one gain nothing from more
    disable_progress_bar()
    console = Console(width=None if sys.stdout.isatty() else 160)
    goals = Goals(scorer, ate_f1, asc_accuracy) if scorer else None
    variables = dict(variable.split("=", 1) for variable in env or ())
    labelled = dict.fromkeys(gold or (), True) | dict.fromkeys(texts or (), False)
    with Progress(*COLUMNS, console=console) as progress:
        references = {file: _reference(models, file, cache, progress) for file in labelled}
        # The reference is float32; where the CPU has bf16, auto takes that.
        environment = {"ABSA_MODEL_DIR": str(models), "ABSA_PRECISION": "f32", **variables}
        with tempfile.TemporaryDirectory() as folder, ServerProcess(environment, log=Path(folder) / "log") as server:
            server.wait_until_ready()
            checks = [ReferenceChecks(file, server.url, references[file], progress) for file in labelled]
            outcomes = [
                outcome
                for one, is_gold in zip(checks, labelled.values(), strict=True)
                for outcome in _outcomes(one, goals if is_gold else None)
            ]
    _report(console, outcomes)
    raise typer.Exit(0 if outcomes and all(outcome.is_passed for outcome in outcomes) else 1)


def _reference(models: Path, file: Path, cache: Path, progress: Progress) -> Sequence[Labelled]:
    total = len(read_records(file))
    task = progress.add_task(f"{file.stem}: reference", total=total)
    return reference_answers(models, file, cache=cache, done=lambda count: progress.advance(task, count))


def _outcomes(checks: ReferenceChecks, goals: Goals | None) -> list[Outcome]:
    """Every check of one file; with `goals`, its aspects are also given to the server, and the answers scored."""
    found = checks.check_batches()
    checks.check_utf16()
    if goals is not None:
        given = checks.check_given()
        ate = score(goals.scorer, checks.file, checks.records, found)["ate"]
        checks.add_figure("ATE F1, exact offsets", ate["f1"], count=ate["gold"], least=goals.ate_f1)
        asc = score(goals.scorer, checks.file, checks.records, given)["standard"]
        checks.add_figure("ASC accuracy, no conflict", asc["asc_acc"], count=asc["asc_n"], least=goals.asc_accuracy)
    return checks.outcomes


def _report(console: Console, outcomes: Sequence[Outcome]) -> None:
    table = Table("texts", "check", "figure", "differences", "near ties", "verdict")
    for outcome in outcomes:
        near_ties = len(outcome.differences) - len(outcome.faults)
        verdict = "[green]passed[/]" if outcome.is_passed else "[red]FAILED[/]"
        table.add_row(outcome.texts, outcome.check, outcome.figure, str(len(outcome.faults)), str(near_ties), verdict)
    console.print(table)
    for outcome in outcomes:
        for difference in outcome.differences[:SHOWN_DIFFERENCES]:
            kind = "near tie" if difference.is_near_tie else "difference"
            console.print(escape(f"{kind}: {outcome.check}: {difference.record_id}: {difference.what}"))


if __name__ == "__main__":
    app()
