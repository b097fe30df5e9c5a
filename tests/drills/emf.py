"""Requests against a real server, its EMF lines captured: bytes a request, and their sums against `/metrics`.

Once with one interval around all requests, as it is in production, and once with intervals of a second, scraped
meanwhile. Every line is held against AWS's schema and limits. Run by `make drill-emf`.
"""

import itertools
import json
import math
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from absa_server.telemetry.emf_metrics import METRICS, EmfMetric
from tests.drills.platform import read_texts
from tests.integration.server_process import ServerProcess
from tests.telemetry.emf_rules import check_line

GOAL_BYTES = 20.0
TEXTS = [
    "The food was great, but the service was slow.",
    "I love the keyboard and the battery life, the screen is a bit dim though.",
    "Never again.",
]
# Written and read back with 12 digits, and added up.
TOLERANCE = 1e-9
# They have no sum, and the last line tells them of a server that has let its models go.
STATES = {metric.name for metric in METRICS if metric.kind == "gauge"}
app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`written` and `scraped`: by metric, count and sum over all models."""

    requests: int
    lines: int
    bytes: int
    written: dict[str, tuple[float, float]]
    scraped: dict[str, tuple[float, float]]

    @property
    def bytes_a_request(self) -> float:
        """Of all EMF lines."""
        return self.bytes / self.requests

    @property
    def different(self) -> list[str]:
        """Metrics whose lines do not add up to `/metrics`."""
        return [
            name
            for name in sorted(set(self.written) | set(self.scraped))
            if not all(
                math.isclose(one, two, rel_tol=TOLERANCE, abs_tol=1e-6)
                for one, two in zip(self.written.get(name, (0, 0)), self.scraped.get(name, (0, 0)), strict=True)
            )
        ]


def drill(models: Path, texts: Sequence[str], work: Path, *, count: int, interval_s: int) -> Outcome:
    """`count` requests of every kind, then a stop. Raises AssertionError for a line that CloudWatch would not take."""
    environment = {
        "ABSA_MODEL_DIR": str(models),
        "ABSA_EMF_INTERVAL_S": str(interval_s),
        "ABSA_EMF_DIMENSIONS": "Endpoint=absa",
    }
    log = work / f"server-{interval_s}.log"
    with ServerProcess(environment, log=log) as server:
        server.wait_until_ready()
        _send(server.url, texts, count)
        scraped = _scraped_after(server.url, count)
    lines = [line for line in log.read_bytes().splitlines(keepends=True) if line.startswith(b'{"_aws"')]
    documents = [check_line(line) for line in lines]
    return Outcome(count, len(lines), sum(map(len, lines)), written_sums(documents), scraped)


def _send(url: str, texts: Sequence[str], count: int) -> None:
    """Mostly single reviews; a tenth each of three reviews together, and of requests that are refused."""
    cycle = itertools.cycle(texts)

    def body(number: int) -> dict[str, object]:
        if number % 10 == 0:
            return {"inputs": [next(cycle), next(cycle), next(cycle)]}
        return {"text": 5} if number % 10 == 1 else {"text": next(cycle)}

    with httpx.Client(timeout=120, trust_env=False) as client, ThreadPoolExecutor(8) as pool:

        def send(sent: tuple[int, dict[str, object]]) -> int:
            number, content = sent
            if number % 50 == 0:
                client.get(f"{url}/metrics").raise_for_status()  # scraped under way, as it will be
            return client.post(f"{url}/invocations", json=content).status_code

        statuses = Counter(pool.map(send, enumerate([body(number) for number in range(count)])))
    assert set(statuses) <= {200, 400}, statuses


def _scraped_after(url: str, count: int) -> dict[str, tuple[float, float]]:
    """`/metrics` once it counts the last request, which it does a moment after the request's answer."""
    limit = time.monotonic() + 30
    while True:
        sums = scraped_sums(httpx.get(f"{url}/metrics", trust_env=False).text)
        if sums["Requests"][0] == count:
            return sums
        assert time.monotonic() < limit, f"{sums['Requests'][0]} of {count} requests were counted"


def written_sums(documents: Sequence[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Count and sum of each metric over all lines."""
    sums: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for document in documents:
        for metric in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            name, value = metric["Name"], document[metric["Name"]]
            one = (value["Count"], value["Sum"]) if isinstance(value, dict) else (value, value)
            sums[name] = (sums[name][0] + one[0], sums[name][1] + one[1])
    return {name: pair for name, pair in sums.items() if name not in STATES}


def scraped_sums(page: str) -> dict[str, tuple[float, float]]:
    """The same of the page that Prometheus reads, by its own parser. Metrics that are zero are left out."""
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]

    def total(metric: EmfMetric, suffix: str) -> float:
        return sum(s.value for s in samples if s.name == metric.family + suffix and metric.takes(s.labels))

    sums = {}
    for metric in METRICS:
        if metric.kind == "histogram":
            pair = total(metric, "_count"), total(metric, "_sum") * metric.scale
        else:
            value = total(metric, "_total") * metric.scale
            pair = value, value
        if any(pair) and metric.name not in STATES:
            sums[metric.name] = pair
    return sums


@app.command()
def main(
    *,
    models: Annotated[Path, typer.Option(help="Folder of aspect/ and sentiment/.", exists=True, resolve_path=True)],
    texts: Annotated[Path | None, typer.Option(help="JSON Lines with a text each.", exists=True)] = None,
    requests: Annotated[int, typer.Option(help="Requests of each run.", min=1)] = 1000,
) -> None:
    """Send requests, and compare what the server wrote for CloudWatch with what it shows to Prometheus."""
    console = Console(highlight=False)
    table = Table("interval", "requests", "lines", "bytes", "bytes a request", "different from /metrics", title="EMF")
    outcomes = []
    with tempfile.TemporaryDirectory() as work, console.status("sending …"):
        for interval_s in (3600, 1):
            one = drill(
                models, read_texts(texts) if texts else TEXTS, Path(work), count=requests, interval_s=interval_s
            )
            outcomes.append(one)
            figures = (f"{interval_s} s", one.requests, one.lines, one.bytes, f"{one.bytes_a_request:.1f}")
            table.add_row(*map(str, figures), json.dumps(one.different))
    sums = Table("metric", "EMF lines", "/metrics", title="sums of the first run: count, sum")
    for name, pair in outcomes[0].scraped.items():
        written = outcomes[0].written.get(name, (0, 0))
        sums.add_row(name, *(f"{count:.0f}, {total:.3f}" for count, total in (written, pair)))
    console.print(table, sums)
    is_right = not any(one.different for one in outcomes) and outcomes[0].bytes_a_request < GOAL_BYTES
    raise typer.Exit(0 if is_right else 1)


if __name__ == "__main__":
    app()
