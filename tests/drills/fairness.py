"""The drill of fairness: short texts beside one client that sends reviews of 30 aspects as fast as it is answered.

1. What short texts alone can reach: closed loop, 32 clients.
2. Beside: short texts come at `--share` of that (open loop, Poisson), and one client sends reviews at full speed.
3. Alone: short texts at the rate that gives the server as many tokens a second as in 2, counted by the server itself,
   but at most `MOST_SHARE` of 1: a server that cannot keep up would make any neighbour look fair.

2 and 3 alternate. Exit code 1 when the short texts' median p99 in 2 is more than `--most` times that in 3.
"""

import json
import random
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from absa_server.benchmark.cells import Cell, summarise
from absa_server.benchmark.generator import Generator
from absa_server.benchmark.load import Job
from absa_server.benchmark.texts import Target, build_requests, parse_target, read_texts
from tests.integration.server_process import ServerProcess

ASPECTS = 30
REVIEWS = 40
CLIENTS = 32
MOST_SHARE = 0.85
SEED = 11
WORD = re.compile(r"[A-Za-z]{3,}")

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Phase:
    """Short texts' figures, tokens a second that the server ran meanwhile, and reviews a second beside them."""

    short: Cell
    tokens_s: float
    reviews_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Rounds of both phases; `capacity_s` is short texts a second, alone, at their most."""

    capacity_s: float
    beside: list[Phase]
    alone: list[Phase]

    @property
    def ratio(self) -> float:
        """How many times longer the short texts' p99 is beside the reviews; infinite where one was not answered."""
        return p99(self.beside) / p99(self.alone)


@app.command()
def main(
    *,
    models: Annotated[Path, typer.Option(help="Folder of aspect/ and sentiment/.", exists=True, resolve_path=True)],
    texts: Annotated[Path, typer.Option(help="Short texts: JSON Lines with a field text, or one a line.")],
    seconds: Annotated[float, typer.Option(help="Length of a phase.")] = 20.0,
    rounds: Annotated[int, typer.Option(help="Rounds; medians count.")] = 3,
    share: Annotated[float, typer.Option(help="Rate of the short texts, as a share of what they reach alone.")] = 0.4,
    most: Annotated[float, typer.Option(help="How many times longer the p99 may be.")] = 2.0,
) -> None:
    """Serve MODELS and compare."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder, console.status("measuring …"):
        figures = measure(models, Path(folder), read_texts(texts), seconds=seconds, rounds=rounds, share=share)
    table = Table("short texts", "offered/s", "p50 ms", "p99 ms", "tokens/s", "reviews/s", title="medians of rounds")
    for name, phases in (("beside reviews", figures.beside), ("alone", figures.alone)):
        table.add_row(name, *_medians(phases))
    console.print(table)
    console.print(
        f"short texts alone at their most: {figures.capacity_s:.1f}/s; p99 beside reviews of {ASPECTS} aspects is "
        f"{figures.ratio:.2f} times that alone (bar {most:g})"
    )
    raise typer.Exit(0 if figures.ratio <= most else 1)


def p99(phases: Sequence[Phase]) -> float:
    """The median p99 in milliseconds; infinite where a phase had an error or no answer."""
    return statistics.median(
        float("inf") if one.short.p99_ms is None or one.short.errors else one.short.p99_ms for one in phases
    )


def _medians(phases: Sequence[Phase]) -> list[str]:
    rates = [one.short.offered_rps or 0.0 for one in phases]
    p50 = [one.short.p50_ms or float("inf") for one in phases]
    columns = (rates, p50, [p99(phases)], [one.tokens_s for one in phases], [one.reviews_s for one in phases])
    return [f"{statistics.median(column):.1f}" for column in columns]


def measure(models: Path, folder: Path, texts: Sequence[str], *, seconds: float, rounds: int, share: float) -> Figures:
    """All phases against one server. Reviews are made of one half of `texts`, the other half are the short ones."""
    half = len(texts) // 2
    with ServerProcess({"ABSA_MODEL_DIR": str(models)}, log=folder / "server.log") as server:
        server.wait_until_ready()
        target = parse_target(server.url)
        short = build_requests(target, texts[:half], texts_per_request=1)
        reviews = [review_request(target, review) for review in make_reviews(texts[half:])]
        with Generator(short) as shorts, Generator(reviews) as heavies, ThreadPoolExecutor(2) as threads:
            stand = _Stand(server.url, target, shorts, heavies, threads, seconds)
            capacity = stand.closed_loop()
            beside, alone = [], []
            for _ in range(rounds):
                beside.append(stand.beside(share * capacity.short.throughput_rps))
                per_text = capacity.tokens_s / capacity.short.throughput_rps
                rate = min(beside[-1].tokens_s / per_text, MOST_SHARE * capacity.short.throughput_rps)
                alone.append(stand.alone(rate))
    return Figures(capacity.short.throughput_rps, beside, alone)


@dataclass(frozen=True, slots=True)
class _Stand:
    url: str
    target: Target
    shorts: Generator
    heavies: Generator
    threads: ThreadPoolExecutor
    seconds: float

    def closed_loop(self) -> Phase:
        """What short texts reach, after a phase that warms up."""
        self._phase(self._job(concurrency=CLIENTS))
        return self._phase(self._job(concurrency=CLIENTS))

    def alone(self, rate_rps: float) -> Phase:
        return self._phase(self._job(rate_rps=rate_rps))

    def beside(self, rate_rps: float) -> Phase:
        heavy_job = self._job(concurrency=1)
        heavy = self.threads.submit(self.heavies.run, heavy_job)
        phase = self._phase(self._job(rate_rps=rate_rps))
        cell = summarise(heavy_job, heavy.result(), purpose="reviews", texts_per_request=1, usage=None)
        assert not cell.errors, cell.errors
        return Phase(phase.short, phase.tokens_s, cell.throughput_rps)

    def _phase(self, job: Job) -> Phase:
        before, begin_s = self._tokens(), time.monotonic()
        trace = self.shorts.run(job)
        tokens_s = (self._tokens() - before) / (time.monotonic() - begin_s)
        return Phase(summarise(job, trace, purpose="fairness", texts_per_request=1, usage=None), tokens_s)

    def _tokens(self) -> float:
        """Tokens that the server has run since its start, without padding."""
        page = httpx.get(f"{self.url}/metrics", trust_env=False).raise_for_status().text
        samples = (sample for family in text_string_to_metric_families(page) for sample in family.samples)
        return sum(
            one.value for one in samples if one.name == "absa_batch_tokens_total" and one.labels["kind"] == "own"
        )

    def _job(self, *, rate_rps: float | None = None, concurrency: int | None = None) -> Job:
        lead_in_s = self.seconds / 5
        return Job(self.target, lead_in_s, self.seconds, drain_s=20, rate_rps=rate_rps, concurrency=concurrency)


@dataclass(frozen=True, slots=True)
class Review:
    """A text of many sentences, with one word of each as an aspect: half-open spans."""

    text: str
    aspects: tuple[tuple[int, int], ...]


def make_reviews(sentences: Sequence[str]) -> list[Review]:
    """`REVIEWS` reviews of `ASPECTS` aspects each, from `sentences` that have a word; the same every time."""
    choose = random.Random(SEED)
    worded = [sentence for sentence in sentences if WORD.search(sentence)]
    return [_join(choose.choices(worded, k=ASPECTS)) for _ in range(REVIEWS)]


def _join(sentences: Sequence[str]) -> Review:
    starts = [0]
    for sentence in sentences[:-1]:
        starts.append(starts[-1] + len(sentence) + 1)
    words = [WORD.search(sentence) for sentence in sentences]
    spans = [(at + word.start(), at + word.end()) for at, word in zip(starts, words, strict=True) if word]
    return Review(" ".join(sentences), tuple(spans))


def review_request(target: Target, review: Review) -> bytes:
    """The whole HTTP request that asks for a review's aspects to be rated."""
    aspects = [{"start": start, "end": end} for start, end in review.aspects]
    body = json.dumps({"text": review.text, "aspects": aspects}).encode()
    head = f"POST {target.path} HTTP/1.1\r\nHost: {target.address}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


if __name__ == "__main__":
    app()
