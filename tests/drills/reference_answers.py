"""The reference's answers to a file of texts, computed once and kept in a file. Knows nothing of servers.

Kept under a hash of all they depend on: the models, the texts, the reference's own source, and the libraries. The kept
file holds no text.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from pydantic import TypeAdapter

from tests.reference import plain_reference
from tests.reference.plain_reference import PlainReference, Rating, ReferenceAnswer


@dataclass(frozen=True, slots=True)
class Labelled:
    """What the reference says of one record: of its text alone, and of each aspect that the record gives."""

    answer: ReferenceAnswer
    given: tuple[Rating, ...]


_ANSWERS = TypeAdapter(list[Labelled])


def read_records(file: Path) -> list[dict[str, Any]]:
    """The records of a JSON Lines file: `id`, `text`, and `aspects` with `start` and `end`, perhaps none."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def reference_answers(
    models: Path, file: Path, *, cache: Path, done: Callable[[int], None] = lambda _: None
) -> list[Labelled]:
    """An answer a record of `file`, from `cache` if they are there. `done` is told how many more are answered."""
    records = read_records(file)
    kept = cache / f"{_digest(models, file)}.json"
    if kept.is_file():
        done(len(records))
        return _ANSWERS.validate_json(kept.read_bytes())
    answers = _answer(PlainReference(models), records, done)
    cache.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(_ANSWERS.dump_json(answers))
    return answers


def _answer(
    reference: PlainReference, records: Sequence[dict[str, Any]], done: Callable[[int], None]
) -> list[Labelled]:
    answers = []
    for record in records:
        text = record["text"]
        given = tuple(reference.rate(text, one["start"], one["end"]) for one in record.get("aspects", ()))
        answers.append(Labelled(reference.analyze(text), given))
        done(1)
    return answers


def _digest(models: Path, file: Path) -> str:
    digest = hashlib.sha256(f"torch {torch.__version__} transformers {transformers.__version__}".encode())
    model_files = sorted(path for path in models.rglob("*") if path.is_file())
    for path in [Path(plain_reference.__file__), file, *model_files]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]
