"""What the drill of S3's faults stands on: a server, a proxy, models in a bucket, and the notes of what came of it."""

import json
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from tests.faults.proxy import FaultProxy, Request
from tests.integration.server_process import ServerProcess
from tests.model_loader.archives import tar_gz_bytes

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

TEXT = "The food was great, but the staff was slow."
WARM = "warm.tar.gz"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one fault led to, and whether it had to. `seconds` are those of the last answer."""

    fault: str
    wanted: str
    statuses: tuple[int, ...]
    said: str
    seconds: float
    is_right: bool

    def row(self) -> tuple[str, ...]:
        """As it is printed."""
        statuses = ", ".join(f"{self.statuses.count(one)} x {one}" for one in sorted(set(self.statuses)))
        return (
            self.fault,
            self.wanted,
            statuses,
            f"{self.seconds:.2f}",
            "yes" if self.is_right else "NO",
            self.said[:100],
        )


@dataclass(frozen=True, slots=True)
class Models:
    """Two versions of one model; `padding` random bytes make their archives as many parts as a drill wants."""

    files: dict[str, bytes]
    padding: int = 0

    def archive(self, *, with_scores: bool = True, padding: int | None = None) -> bytes:
        """A tar.gz; the versions' answers differ in whether they have scores."""
        options = json.dumps({"output": {"scores": with_scores}}).encode()
        more = random.Random(with_scores).randbytes(self.padding if padding is None else padding)
        return tar_gz_bytes(self.files | {"absa.json": options} | ({"padding.bin": more} if more else {}))


@dataclass
class Stand:
    """A server, the proxy between it and S3, and the prefix of the bucket in which the models lie."""

    server: ServerProcess
    proxy: FaultProxy
    put: Callable[[str, bytes], None]
    models: Models
    http: httpx.Client
    outcomes: list[Outcome] = field(default_factory=list)

    def ask(self, name: str) -> tuple[httpx.Response, float]:
        """One request for the model `name`, and its seconds."""
        begin = time.monotonic()
        body = {"text": TEXT, "parameters": {"model": name}}
        return self.http.post("/invocations", json=body), time.monotonic() - begin

    def metric(self, name: str) -> float:
        """A metric's value now."""
        lines = self.http.get("/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def requests(self, name: str, method: str) -> list[Request]:
        """What the server has asked S3 for a model."""
        return [one for one in self.proxy.requests if one.method == method and is_about(one, name)]

    def judge(self, fault: str, wanted: str, answers: list[tuple[httpx.Response, float]], *, is_right: bool) -> None:
        """Notes an outcome; the model that was loaded before must answer, whatever happened to others."""
        warm = self.ask(WARM)[0].status_code == 200
        said = answers[-1][0]
        told = said.json().get("message", "") if said.status_code != 200 else said.headers["server-timing"]
        statuses = tuple(response.status_code for response, _ in answers)
        self.outcomes.append(Outcome(fault, wanted, statuses, told, answers[-1][1], is_right and warm))


def read_files(folder: Path) -> dict[str, bytes]:
    """The two models of a folder, without what describes them together."""
    files = (file for role in ("aspect", "sentiment") for file in (folder / role).rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def is_about(request: Request, name: str) -> bool:
    """Whether a request of S3 is for the object of the model `name`."""
    return urlsplit(request.path).path.endswith(f"/{name}")


def of(name: str, method: str = "GET") -> Callable[[Request], bool]:
    """Requests for a model's object."""
    return lambda request: request.method == method and is_about(request, name)


def any_of(name: str) -> Callable[[Request], bool]:
    """Requests for a model's object, of any method."""
    return lambda request: is_about(request, name)


def is_refusal(response: httpx.Response, status: int, kind: str) -> bool:
    """Whether it is this status and type, with a time to come back where that makes sense."""
    is_told = status != 503 or int(response.headers.get("retry-after", 0)) > 0
    return (response.status_code, response.json()["type"]) == (status, kind) and is_told


def all_good(answers: list[tuple[httpx.Response, float]]) -> bool:
    """Whether all are the same right answer."""
    return {response.status_code for response, _ in answers} == {200} and len({one.text for one, _ in answers}) == 1


def until_answered(stand: Stand, name: str) -> tuple[httpx.Response, float]:
    """Asks as a patient caller does: again after what `Retry-After` says."""
    for _ in range(10):
        answer = stand.ask(name)
        if answer[0].status_code != 503:
            break
        time.sleep(float(answer[0].headers["retry-after"]))
    return answer


@contextmanager
def bucket(client: "S3Client") -> Iterator[str]:
    """A bucket of this drill alone."""
    name = f"absa-drill-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    try:
        yield name
    finally:
        for entry in client.list_objects_v2(Bucket=name).get("Contents", ()):
            client.delete_object(Bucket=name, Key=entry["Key"])
        client.delete_bucket(Bucket=name)
