"""Runs a scorer, a program `SCORER GOLD PREDICTIONS` that prints JSON, on a server's answers. Knows no metric."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def score(
    scorer: Path, gold: Path, records: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What `scorer` prints for `answers` to the `records` of the file `gold`. Raises where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        predictions = Path(folder) / "predictions.jsonl"
        with predictions.open("w", encoding="utf-8") as file:
            for record, answer in zip(records, answers, strict=True):
                file.write(
                    json.dumps({"id": record["id"], "text": record["text"], "aspects": answer["aspects"]}) + "\n"
                )
        command = [sys.executable, str(scorer), str(gold), str(predictions)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    scores: dict[str, Any] = json.loads(printed)
    return scores
