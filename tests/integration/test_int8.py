"""The drill of int8 in small: the same code on tiny models, with one recipe."""

from pathlib import Path

from rich.console import Console

from absa_server.packaging.recipes import BY_NAME
from tests.drills.int8 import compare, pack
from tests.integration.server_process import cache_folder
from tests.packaging.reviews_file import write_reviews

SCORER = """
import json, sys
gold, found = ([json.loads(line) for line in open(file, encoding="utf-8")] for file in sys.argv[1:])
spans = [{(n, a["start"], a["end"]): a["polarity"] for n, row in enumerate(rows) for a in row["aspects"]}
         for rows in (gold, found)]
both = spans[0].keys() & spans[1].keys()
f1 = 2 * len(both) / (len(spans[0]) + len(spans[1]))
right = sum(spans[0][span] == spans[1][span] for span in both) / len(both)
print(json.dumps({"ate": {"f1": f1}, "standard": {"asc_acc": right}}))
"""


def test_int8_drill_in_small(tiny_models: Path, tmp_path: Path) -> None:
    """Packed, served in both precisions and scored; what tiny models lose is within a tenth."""
    reviews, gold = write_reviews(tmp_path / "train.jsonl"), write_reviews(tmp_path / "gold.jsonl", count=64)
    scorer = tmp_path / "scorer.py"
    scorer.write_text(SCORER)
    console = Console()
    artifact = pack(
        tiny_models,
        reviews,
        tmp_path,
        tmp_path / "artifact",
        max_drop=1.0,
        console=console,
        recipes=(BY_NAME["smooth-early"],),
        cache=Path(cache_folder()),
    )
    drops = compare(artifact, gold, scorer, tmp_path, console=console)
    assert all(drop < 0.1 for drop in drops)
