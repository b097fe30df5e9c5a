"""One model loaded, asked and unloaded again and again over the multi-model API: what of its memory comes back.

Prints the figures; ends with 1 below the bars. Run by `make drill-unload`.
"""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

from absa_server.benchmark.process_tree import resident_bytes
from tests.drills.store_answers import INPUTS, client
from tests.drills.trend import Trend, trend
from tests.integration.server_process import ServerProcess

MB = 1 << 20
# Until then libraries, threads and the allocator's arenas come up, once for the life of the process.
WARM = 10
MOST_SHARE, MOST_BYTES = 0.02, 10 * MB
LEAST_RETURNED = 0.8


@dataclass(frozen=True, slots=True)
class Round:
    """Resident bytes of the server and all it has started: before a load, with the model in use, after the unload."""

    before: int
    loaded: int
    after: int

    @property
    def returned(self) -> float:
        """The share of what the load added that the unload gave back."""
        added = self.loaded - self.before
        return (self.loaded - self.after) / added if added > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """All rounds; figures leave out the first ten."""

    rounds: list[Round]

    @property
    def warm(self) -> list[Round]:
        """The rounds that count."""
        return self.rounds[WARM:]

    @property
    def growth_bytes(self) -> int:
        """Resident memory at the end above that after the tenth round."""
        return self.rounds[-1].after - self.rounds[WARM - 1].after

    @property
    def most_growth_bytes(self) -> int:
        """The bar for it."""
        return max(MOST_BYTES, int(MOST_SHARE * self.rounds[WARM - 1].after))

    @property
    def kb_per_round(self) -> Trend:
        """The slope of what is resident after each unload."""
        return trend(range(len(self.warm)), [one.after / 1024 for one in self.warm])

    @property
    def least_returned(self) -> float:
        """The share that the worst unload gave back."""
        return min(one.returned for one in self.warm)

    def checks(self) -> dict[str, bool]:
        """The bars."""
        return {
            "memory at the end": self.growth_bytes <= self.most_growth_bytes,
            "each unload returns what its load added": self.least_returned >= LEAST_RETURNED,
        }


def drill(models: Path, work: Path, *, count: int, requests: int = 2) -> Outcome:
    """`count` rounds with the artifact `models`, each with a few `requests` while it is loaded."""
    variables = {"SAGEMAKER_MULTI_MODEL": "true"}
    with ServerProcess(variables, log=work / "unload.log") as server:
        server.wait_until_ready()
        with client(server.url) as http:
            _round(http, server.pid, models, requests)  # converts and compiles what is not in the cache yet
            return Outcome([_round(http, server.pid, models, requests) for _ in range(count)])


def _round(http: httpx.Client, pid: int, models: Path, requests: int) -> Round:
    before = resident_bytes(pid)
    http.post("/models", json={"model_name": "model", "url": str(models.resolve())}).raise_for_status()
    for _ in range(requests):
        http.post("/models/model/invoke", json={"inputs": INPUTS}).raise_for_status()
    loaded = resident_bytes(pid)
    http.delete("/models/model").raise_for_status()
    return Round(before, loaded, resident_bytes(pid))


def rows(outcome: Outcome) -> dict[str, str]:
    """The figures, as they are printed."""

    def middle(values: Sequence[float]) -> str:
        return f"{statistics.median(values) / MB:.1f}"

    slope = outcome.kb_per_round
    return {
        "rounds": str(len(outcome.rounds)),
        "a load adds, median MB": middle([one.loaded - one.before for one in outcome.warm]),
        "resident after the 10th, at the end, MB": f"{outcome.rounds[WARM - 1].after / MB:.1f}, "
        f"{outcome.rounds[-1].after / MB:.1f}",
        "growth MB (at most)": f"{outcome.growth_bytes / MB:.1f} ({outcome.most_growth_bytes / MB:.1f})",
        "KB per round": f"{slope.slope:+.1f} ({slope.low:+.1f} to {slope.high:+.1f})",
        "returned: worst, median": f"{outcome.least_returned:.3f}, "
        f"{statistics.median(one.returned for one in outcome.warm):.3f}",
        "missed": ", ".join(bar for bar, is_met in outcome.checks().items() if not is_met),
    }


def main(
    models: Annotated[Path, typer.Option(help="folder with aspect/ and sentiment/")],
    count: Annotated[int, typer.Option(help="how often it is loaded and unloaded", min=WARM + 4)] = 200,
) -> None:
    """Load and unload."""
    with tempfile.TemporaryDirectory() as work:
        outcome = drill(models, Path(work), count=count)
    table = Table("", "", title="load and unload", show_header=False)
    for row in rows(outcome).items():
        table.add_row(*row)
    Console(width=120).print(table)
    sys.exit(not all(outcome.checks().values()))


if __name__ == "__main__":
    typer.run(main)
