"""Answers under load with a results bucket: S3 stands still for a while, and the server is killed and started again.

Afterwards every acknowledged answer lies in S3, none was dropped, none lies under two keys; and while S3 stood still
nobody waited longer. Needs a real S3 (AWS_ENDPOINT_URL_S3 and credentials). Run by `make drill-results`.
"""

import gzip
import http.client
import itertools
import json
import math
import os
import tempfile
import threading
import time
import urllib.parse
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from model_loader.s3_client import make_client
from tests.drills.platform import read_texts
from tests.faults.proxy import FaultProxy, Rule
from tests.integration.server_process import ServerProcess, free_port

WAIT_S = 600.0
MOST_SLOWER = 1.2


@dataclass(frozen=True, slots=True)
class Answered:
    """One acknowledged answer: its id, and when it was asked for and how long that took, in seconds."""

    request_id: str
    begin_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was acknowledged and where it is. `doubled`: answers under more than one key. Latencies in milliseconds.

    `p99_after_ms` tells how much of a difference is the machine's own.
    """

    acknowledged: int
    unanswered: int
    missing: int
    doubled: int
    dropped: float
    upload_failures: float
    pause_s: float
    p99_before_ms: float
    p99_paused_ms: float
    p99_after_ms: float
    requests_before: int
    requests_paused: int

    @property
    def is_right(self) -> bool:
        """Nothing lost, nothing dropped, nothing twice."""
        return self.missing == 0 and self.doubled == 0 and self.dropped == 0


@dataclass(slots=True)
class Load:
    """Closed-loop clients that go on, over restarts of the server, until they are told to finish."""

    port: int
    texts: Sequence[str]
    answered: list[Answered] = field(default_factory=list)
    unanswered: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, clients: int) -> None:
        """Begins."""
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, count: int) -> None:
        """Returns when so many answers are there."""
        end = time.monotonic() + WAIT_S
        while len(self.answered) < count:
            assert time.monotonic() < end, f"only {len(self.answered)} of {count} answers came"
            time.sleep(0.02)

    def finish(self) -> None:
        """Lets every client end its request."""
        self._stop.set()
        for thread in self._threads:
            thread.join(WAIT_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            with closing(connection):
                self._ask_until_it_breaks(connection)

    def _ask_until_it_breaks(self, connection: http.client.HTTPConnection) -> None:
        while not self._stop.is_set():
            # A new id for each attempt: what was kept of one that was never answered is not a duplicate.
            request_id = f"answer-{next(self._numbers)}"
            body = json.dumps({"text": self.texts[hash(request_id) % len(self.texts)]})
            headers = {"Content-Type": "application/json", "X-Amzn-SageMaker-Inference-Id": request_id}
            begin_s = time.monotonic()
            try:
                connection.request("POST", "/invocations", body, headers)
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                with self._lock:
                    self.unanswered += 1
                self._stop.wait(0.1)
                return
            if response.status == http.client.OK:
                self.answered.append(Answered(request_id, begin_s, time.monotonic() - begin_s))
            else:  # the model is loading again
                self._stop.wait(0.1)


def drill(
    models: Path,
    texts: Sequence[str],
    work: Path,
    *,
    count: int,
    clients: int,
    pause_s: float,
    is_paused_at_restart: bool = False,
    environment: dict[str, str] | None = None,
) -> Outcome:
    """The whole story. `is_paused_at_restart`: S3 stands still as soon as the server comes back, not long after.

    A pause begins with the first upload that runs into it: before that nobody could tell.
    """
    url = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL_S3"])
    with (
        FaultProxy((str(url.hostname), url.port or 80)) as proxy,
        closing(make_client(endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"], region="us-east-1")) as s3,
        _bucket(s3) as bucket,
    ):
        port = free_port()
        variables = _variables(models, bucket, work / "spool", port, proxy.url) | (environment or {})
        load = Load(port, texts)
        server = _started(variables, work / "first.log")
        load.start(clients)
        try:
            warm_s = _at(load, count // 10)
            killed_s = _at(load, count * 3 // 10)
            failures = [_counters(server)]
            rule = _arm(proxy) if is_paused_at_restart else None
            server.kill()
            server = _started(variables, work / "second.log")
            before = (warm_s, killed_s)
            if rule is None:
                armed_s = _at(load, count // 2)
                rule = _arm(proxy)
            assert rule.met.wait(WAIT_S), "no upload ran into the pause"
            begin_s = time.monotonic()
            if not is_paused_at_restart:
                before = (armed_s, begin_s)
            assert rule.hold is not None
            threading.Event().wait(pause_s)
            end_s = time.monotonic()
            rule.hold.set()
            load.wait_for(count)
            failures.append(_counters(server))
        finally:
            load.finish()
            server.stop()
        while list((work / "spool").iterdir()):  # the drain at the end is bounded: what it leaves, the next one takes
            _started(variables, work / "last.log").stop()
        keys = _keys_of_answers(s3, bucket)
    paused = _between(load.answered, begin_s, end_s)
    return Outcome(
        acknowledged=len(load.answered),
        unanswered=load.unanswered,
        missing=sum(one.request_id not in keys for one in load.answered),
        doubled=sum(times > 1 for times in keys.values()),
        dropped=sum(one["dropped"] for one in failures),
        upload_failures=sum(one["failures"] for one in failures),
        pause_s=end_s - begin_s,
        p99_before_ms=_p99_ms(_between(load.answered, *before)),
        p99_paused_ms=_p99_ms(paused),
        p99_after_ms=_p99_ms(_between(load.answered, end_s, math.inf)),
        requests_before=len(_between(load.answered, *before)),
        requests_paused=len(paused),
    )


def _variables(models: Path, bucket: str, spool: Path, port: int, s3_url: str) -> dict[str, str]:
    spool.mkdir()
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return aws | {
        "AWS_ENDPOINT_URL_S3": s3_url,
        "ABSA_MODEL_DIR": str(models.resolve()),
        "ABSA_RESULTS_S3_URI": f"s3://{bucket}/answers",
        "ABSA_RESULTS_SPOOL_DIR": str(spool),
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }


def _started(variables: dict[str, str], log: Path) -> ServerProcess:
    server = ServerProcess(variables, log=log)
    server.wait_until_ready()
    return server


def _arm(proxy: FaultProxy) -> Rule:
    """From the next upload on S3 takes connections, and answers none."""
    return proxy.add(Rule(when=lambda request: request.method == "PUT", times=None, hold=threading.Event()))


def _at(load: Load, count: int) -> float:
    load.wait_for(count)
    return time.monotonic()


def _counters(server: ServerProcess) -> dict[str, float]:
    lines = httpx.get(f"{server.url}/metrics", trust_env=False, timeout=30).text.splitlines()
    names = {"dropped": "absa_results_dropped_total ", "failures": "absa_results_upload_failures_total "}
    return {
        short: next(float(line.split()[1]) for line in lines if line.startswith(name)) for short, name in names.items()
    }


@contextmanager
def _bucket(s3: Any) -> Iterator[str]:
    name = f"absa-drill-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    try:
        yield name
    finally:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            for entry in page.get("Contents", ()):
                s3.delete_object(Bucket=name, Key=entry["Key"])
        s3.delete_bucket(Bucket=name)


def _keys_of_answers(s3: Any, bucket: str) -> Counter[str]:
    """How many lines each request id has in the bucket; every request here has one text."""
    found: Counter[str] = Counter()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", ()):
            body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            found.update(json.loads(line)["request_id"] for line in gzip.decompress(body).splitlines())
    return found


def _between(answered: Sequence[Answered], begin_s: float, end_s: float) -> list[Answered]:
    return [one for one in answered if begin_s <= one.begin_s < end_s]


def _p99_ms(answered: Sequence[Answered]) -> float:
    seconds = sorted(one.seconds for one in answered)
    return seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)] * 1000 if seconds else float("nan")


def main(
    models: Annotated[Path, typer.Option(help="folder with aspect/ and sentiment/")],
    texts: Annotated[Path, typer.Option(help="JSON Lines with a text each")],
    answers: Annotated[int, typer.Option(min=100)] = 20_000,
    clients: Annotated[int, typer.Option(min=1)] = 4,
    pause_s: Annotated[float, typer.Option(min=0.1)] = 20.0,
) -> None:
    """Prints what was acknowledged, what is in S3, and the p99 before and while S3 stood still."""
    console = Console()
    with tempfile.TemporaryDirectory() as work, console.status("answering …"):
        outcome = drill(models, read_texts(texts), Path(work), count=answers, clients=clients, pause_s=pause_s)
    table = Table("", "")
    table.add_row("acknowledged", f"{outcome.acknowledged}")
    table.add_row("unanswered (killed, loading)", f"{outcome.unanswered}")
    table.add_row("missing in S3", f"{outcome.missing}")
    table.add_row("under two keys", f"{outcome.doubled}")
    table.add_row("dropped", f"{outcome.dropped:g}")
    table.add_row("failed uploads", f"{outcome.upload_failures:g}")
    ratio = outcome.p99_paused_ms / outcome.p99_before_ms
    table.add_row("p99 before", f"{outcome.p99_before_ms:.1f} ms of {outcome.requests_before} requests")
    shown = f"{outcome.p99_paused_ms:.1f} ms of {outcome.requests_paused} requests, {ratio:.2f} times"
    table.add_row(f"p99 in the pause of {outcome.pause_s:.1f} s (at most {MOST_SLOWER} times)", shown)
    table.add_row("p99 after it", f"{outcome.p99_after_ms:.1f} ms")
    console.print(table)
    raise typer.Exit(0 if outcome.is_right and ratio <= MOST_SLOWER else 1)


if __name__ == "__main__":
    typer.run(main)
