"""The drill of the context: how right polarities are when stage two sees the aspect's own sentence, or the whole text.

Whole reviews are made of labelled sentences: those of GOLD, all files together, in an order shuffled with a fixed seed,
are cut into runs of 4 to 8 and joined by spaces, each sentence once; its aspects' offsets move with it, and aspects
labelled "conflict" are dropped. A review without any aspect left is left out. The same two models are served twice,
once with `sentiment.context` of each kind, and rate the given aspects. Exit code 1 unless the sentence is better in
accuracy and in macro-F1.
"""

import json
import os
import random
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from model_loader.manifest import MANIFEST_NAME
from tests.drills.demo import ask, spans
from tests.drills.reference_answers import read_records
from tests.integration.server_process import ServerProcess

CONTEXTS = ("sentence", "text")
SENTENCES = (4, 8)
SEED = 5

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Scores:
    """Over all aspects: the share rated right, and the mean of the F1 of each polarity that gold knows."""

    accuracy: float
    macro_f1: float


@app.command()
def main(
    *,
    models: Annotated[Path, typer.Option(help="Folder of aspect/ and sentiment/.", exists=True, resolve_path=True)],
    gold: Annotated[list[Path], typer.Option(help="JSON Lines of sentences with aspects.", exists=True)],
) -> None:
    """Serve MODELS with each context and score both."""
    reviews = make_reviews([record for file in gold for record in read_records(file)])
    table = Table("stage two sees", "accuracy", "macro-F1")
    with tempfile.TemporaryDirectory() as folder, Console().status("measuring …"):
        found = {context: measure(models, Path(folder), reviews, context) for context in CONTEXTS}
    for context, scores in found.items():
        table.add_row(context, f"{scores.accuracy:.4f}", f"{scores.macro_f1:.4f}")
    Console().print(table)
    Console().print(f"{len(reviews)} reviews, {sum(len(review['aspects']) for review in reviews)} aspects")
    own, whole = found["sentence"], found["text"]
    raise typer.Exit(0 if own.accuracy > whole.accuracy and own.macro_f1 > whole.macro_f1 else 1)


def make_reviews(sentences: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reviews as the module says, with `text` and `aspects`; the same every time."""
    shuffled = list(sentences)
    chance = random.Random(SEED)
    chance.shuffle(shuffled)
    reviews = []
    while shuffled:
        run = [shuffled.pop() for _ in range(min(len(shuffled), chance.randint(*SENTENCES)))]
        reviews.append(_join(run))
    return [review for review in reviews if review["aspects"]]


def _join(sentences: Sequence[dict[str, Any]]) -> dict[str, Any]:
    text, aspects = "", []
    for sentence in sentences:
        text += " " if text else ""
        aspects += [
            aspect | {"start": len(text) + aspect["start"], "end": len(text) + aspect["end"]}
            for aspect in sentence["aspects"]
            if aspect["polarity"] != "conflict"
        ]
        text += sentence["text"]
    return {"text": text, "aspects": aspects}


def measure(models: Path, folder: Path, reviews: Sequence[dict[str, Any]], context: str) -> Scores:
    """The scores of a server whose stage two sees `context`."""
    artifact = with_context(models, folder / context, context)
    with ServerProcess({"ABSA_MODEL_DIR": str(artifact)}, log=folder / f"{context}.log") as server:
        server.wait_until_ready()
        answers = ask(server.url, [{"text": review["text"], "aspects": spans(review)} for review in reviews])
    gold = [aspect["polarity"] for review in reviews for aspect in review["aspects"]]
    return score(gold, [aspect["polarity"] for answer in answers for aspect in answer["aspects"]])


def with_context(models: Path, out: Path, context: str) -> Path:
    """`models` at `out`, linked where that can be, with `sentiment.context` set in its absa.json."""
    shutil.copytree(models, out, copy_function=_link, ignore=shutil.ignore_patterns(MANIFEST_NAME, "absa.json"))
    options: dict[str, Any] = {}
    with suppress(FileNotFoundError):
        options = json.loads((models / "absa.json").read_text(encoding="utf-8"))
    options["sentiment"] = options.get("sentiment", {}) | {"context": context}
    (out / "absa.json").write_text(json.dumps(options), encoding="utf-8")
    return out


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def score(gold: Sequence[str], predicted: Sequence[str]) -> Scores:
    """Accuracy and macro-F1 of `predicted`, one for each of `gold`. Raises ValueError when their numbers differ."""
    pairs = list(zip(gold, predicted, strict=True))
    return Scores(
        sum(right == told for right, told in pairs) / len(pairs),
        sum(_f1(pairs, polarity) for polarity in set(gold)) / len(set(gold)),
    )


def _f1(pairs: Sequence[tuple[str, str]], polarity: str) -> float:
    both = sum(right == told == polarity for right, told in pairs)
    return 2 * both / sum((right == polarity) + (told == polarity) for right, told in pairs)


if __name__ == "__main__":
    app()
