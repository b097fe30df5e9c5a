"""`absa train-demo`: trains the demo models, or a user's own. Knows what is typed and shown, not how training works.

Whatever imports torch, transformers or tokenizers is imported by the functions that need it: `absa --help` is quick.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from absa_server import training
from absa_server.training.errors import TrainingError
from absa_server.training.plan import Plan
from absa_server.training.records import LabelledReview

DEMO_REVIEWS = 12_000
DEMO_ASPECT_REVIEWS = 8_000
DATA_EPOCHS = 4

Out = Annotated[Path, typer.Option(help="Folder to write; an earlier result in it is replaced.", resolve_path=True)]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Your own labelled reviews, JSON Lines, instead of the generated ones.", dir_okay=False, exists=True
    ),
]
Seed = Annotated[int, typer.Option(help="Same seed, same machine: same models, bit for bit.", min=0)]
Encoder = Annotated[
    Path | None,
    typer.Option(help="Folder of a BERT checkpoint to start from instead of the installed MiniLM.", exists=True),
]
Reviews = Annotated[int, typer.Option(help="Reviews to generate. More: better models, longer training.", min=100)]
Epochs = Annotated[int, typer.Option(help="Passes over --data; generated reviews are seen once.", min=1)]


def train_demo(
    *,
    out: Out = Path(".demo/models"),
    data: Data = None,
    seed: Seed = 1,
    reviews: Reviews = DEMO_REVIEWS,
    epochs: Epochs = DATA_EPOCHS,
    encoder: Encoder = None,
) -> None:
    """Train an aspect and a sentiment model, ready to serve, in a few minutes on two cores.

    The demo models learn from reviews that this command writes itself. With `--data` the same two models learn from
    your own, one a line, `start` and `end` counted in characters:

    `{"text": "Great soup.", "aspects": [{"start": 6, "end": 10, "polarity": "positive"}]}`

    One review in ten is kept for the scores at the end. Nothing is trained if the folder already holds the result.

    For example:

    - `absa train-demo --out .demo/models`

    - `absa train-demo --data reviews.jsonl --epochs 5 --out my-models`
    """
    console = Console()
    try:
        record = _train(out, data, encoder, seed=seed, reviews=reviews, epochs=epochs, console=console)
    except TrainingError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    console.print(_summary(record, out))


def _train(
    out: Path, data: Path | None, encoder: Path | None, *, seed: int, reviews: int, epochs: int, console: Console
) -> dict[str, Any]:
    """training.json of the models at `out`: found there, or trained now."""
    from absa_server.training.base_model import find_base_model  # noqa: PLC0415
    from absa_server.training.model_folder import content_hash, read_record, refuse_foreign_folder  # noqa: PLC0415

    base = find_base_model(encoder)
    refuse_foreign_folder(out)
    own = _read(data) if data else None
    plan = _plan(seed, epochs=epochs if own else None)
    inputs = {"base": base / "model.safetensors"} | ({"data": data} if data else {})
    digest = content_hash(Path(training.__path__[0]), inputs=inputs, settings=asdict(plan) | {"reviews": reviews})
    record = read_record(out)
    if record is not None and record.get("content_hash") == digest:
        console.print(f"{escape(str(out))} is up to date: same code, data, seed and settings.", soft_wrap=True)
        return record
    return _train_now(out, own, base=base, plan=plan, digest=digest, reviews=reviews, console=console)


def _read(data: Path) -> list[LabelledReview]:
    from absa_server.training.review_file import read_reviews  # noqa: PLC0415

    return read_reviews(data)


def _plan(seed: int, *, epochs: int | None) -> Plan:
    """For a user's reviews every aspect, `epochs` times; of generated ones, which cost nothing, each is seen once."""
    if epochs is not None:
        return Plan(seed, epochs=epochs)
    return Plan(seed, aspect_reviews=DEMO_ASPECT_REVIEWS, aspects_per_review=1)


def _train_now(
    out: Path, own: list[LabelledReview] | None, *, base: Path, plan: Plan, digest: str, reviews: int, console: Console
) -> dict[str, Any]:
    # While they wait for each other torch's threads spin, which on busy cores made training six times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from absa_server.training.model_training import generated_reviews, train_models  # noqa: PLC0415  imports torch

    with _progress_bars(console) as report:
        labelled = own or generated_reviews(reviews, plan.seed)
        return train_models(labelled, out, base=base, plan=plan, digest=digest, report=report)


@contextmanager
def _progress_bars(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each model; the function that moves it."""
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks = {role: progress.add_task(f"{role} model", total=None, start=False) for role in ("aspect", "sentiment")}

        def report(role: str, done: int, total: int) -> None:
            progress.start_task(tasks[role])
            progress.update(tasks[role], completed=done, total=total)

        yield report


def _summary(record: dict[str, Any], out: Path) -> Table:
    scores = record["held_out"]
    title = f"{escape(str(out))}: trained in {record['seconds']:.0f} s"
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_row("held-out reviews", f"{scores['reviews']} with {scores['aspects']} aspects, never trained on")
    table.add_row("aspect F1", f"{scores['aspect_f1']:.3f}   (exact spans)")
    table.add_row("polarity accuracy", f"{scores['polarity_accuracy']:.3f}   (spans given)")
    table.add_row("end-to-end F1", f"{scores['end_to_end_f1']:.3f}   (exact spans with the right polarity)")
    table.add_row("try it", f"absa serve --model-dir {escape(str(out))} --announce")
    return table
