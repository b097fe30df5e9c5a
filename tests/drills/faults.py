"""A server over a real S3 that fails as it is told: what callers see, and that other models and the disk are unharmed.

Prints a row for each fault; ends with 1 if any answer is not what it must be. Run by `make drill-faults`, which needs a
real S3 server in AWS_ENDPOINT_URL_S3.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import httpx
import typer
from rich.console import Console
from rich.table import Table

from model_loader.s3_client import make_client
from model_loader.s3_source import S3Options
from tests.faults.proxy import FaultProxy, Request, Rule
from tests.integration.server_process import ServerProcess
from tests.model_loader.archives import tar_gz_bytes

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

TEXT = "The food was great, but the staff was slow."
PART_BYTES = S3Options().part_bytes
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


def crowd(stand: Stand, callers: int) -> None:
    """Many requests for one cold model: each range is asked for once, and the model is loaded once."""
    data = stand.models.archive()
    stand.put("cold.tar.gz", data)
    loads = stand.metric("absa_models_loads_total")
    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(lambda _: stand.ask("cold.tar.gz"), range(callers)))
    ranges = [one.headers["range"] for one in stand.requests("cold.tar.gz", "GET")]
    parts = -(-len(data) // PART_BYTES)
    is_once = len(ranges) == len(set(ranges)) == parts and len(stand.requests("cold.tar.gz", "HEAD")) == 1
    is_right = is_once and stand.metric("absa_models_loads_total") == loads + 1 and all_good(answers)
    stand.judge(f"{callers} callers of a cold model", f"200, {parts} ranges once", answers, is_right=is_right)


def all_good(answers: list[tuple[httpx.Response, float]]) -> bool:
    """Whether all are the same right answer."""
    return {response.status_code for response, _ in answers} == {200} and len({one.text for one, _ in answers}) == 1


PASSING: dict[str, Callable[[], Rule]] = {
    "connections dropped": lambda: Rule(drop_after=1000, times=3),
    "503 SlowDown": lambda: Rule(status=503, code="SlowDown", times=3),
    "truncated body": lambda: Rule(truncate_to=1000, times=2),
    "flipped bit": lambda: Rule(flip_at=50_000, times=1),
}


def passing(stand: Stand) -> None:
    """Faults that pass are not seen by callers, or (a flipped bit) are told and gone the next time."""
    for number, (fault, make) in enumerate(PASSING.items()):
        name = f"passing-{number}.tar.gz"
        stand.put(name, stand.models.archive(padding=0))
        rule = make()
        rule.when = of(name)
        stand.proxy.add(rule)
        answers = [stand.ask(name)]
        if fault == "flipped bit":
            is_right = is_refusal(answers[0][0], 400, "InvalidModel")
            stand.judge(fault, "400 InvalidModel", answers, is_right=is_right)
            continue
        is_right = all_good(answers) and len(stand.requests(name, "GET")) > 1
        stand.judge(fault, "200, tried again", answers, is_right=is_right)


LASTING: dict[str, Callable[[], Rule]] = {
    "paused": lambda: Rule(hold=threading.Event(), times=None),
    "unreachable": lambda: Rule(drop_after=0, times=None),
    "503 SlowDown for ever": lambda: Rule(status=503, code="SlowDown", times=None),
}


def lasting(stand: Stand) -> None:
    """A store that does not answer is 503 with Retry-After; once it answers, so does the model. All at one time."""
    rules = {}
    for number, (fault, make) in enumerate(LASTING.items()):
        stand.put(f"lasting-{number}.tar.gz", stand.models.archive(padding=0))
        rule = rules[fault] = make()
        rule.when = any_of(f"lasting-{number}.tar.gz")
        stand.proxy.add(rule)
    with ThreadPoolExecutor(len(rules)) as pool:
        answers = list(pool.map(stand.ask, [f"lasting-{number}.tar.gz" for number in range(len(rules))]))
    for fault, answer in zip(rules, answers, strict=True):
        kind = answer[0].json()["type"]
        is_right = kind in {"DeadlineExceeded", "StoreUnavailable"} and is_refusal(answer[0], 503, kind)
        stand.judge(fault, "503, Retry-After", [answer], is_right=is_right)
    for rule in rules.values():
        rule.times = 0
        if rule.hold is not None:
            rule.hold.set()
    again = until_answered(stand, "lasting-0.tar.gz")
    stand.judge("resumed", "200 in the end", [again], is_right=again[0].status_code == 200)


def until_answered(stand: Stand, name: str) -> tuple[httpx.Response, float]:
    """Asks as a patient caller does: again after what `Retry-After` says."""
    for _ in range(10):
        answer = stand.ask(name)
        if answer[0].status_code != 503:
            break
        time.sleep(float(answer[0].headers["retry-after"]))
    return answer


REFUSED = {
    "no permission": (403, "AccessDenied"),
    "expired session": (400, "ExpiredToken"),
    "wrong Region": (301, "PermanentRedirect"),
    "wrong secret": (403, "SignatureDoesNotMatch"),
}


def refused(stand: Stand) -> None:
    """What the store refuses is 502, with bucket and action; an object that is not there is 404."""
    for number, (fault, (status, code)) in enumerate(REFUSED.items()):
        name = f"refused-{number}.tar.gz"
        stand.proxy.add(Rule(when=any_of(name), times=None, status=status, code=code))
        answers = [stand.ask(name)]
        stand.judge(fault, "502 StoreRefused", answers, is_right=is_told_refusal(answers[0][0], stand))
    missing = stand.ask("absent.tar.gz")
    is_right = is_refusal(missing[0], 404, "ModelNotFound")
    stand.judge("no such object", "404 ModelNotFound", [missing], is_right=is_right)


def is_told_refusal(response: httpx.Response, stand: Stand) -> bool:
    """Whether it is 502 and names the bucket and the action."""
    message = response.json()["message"]
    return is_refusal(response, 502, "StoreRefused") and "s3:GetObject" in message and "absa-drill-" in message


def replaced(stand: Stand) -> None:
    """An object replaced while it is fetched: the new version whole, never a mix."""
    stand.put("replaced.tar.gz", stand.models.archive())
    new = stand.models.archive(with_scores=False)
    parts = -(-len(new) // PART_BYTES)
    last = f"bytes={(parts - 1) * PART_BYTES}-"
    stand.proxy.add(
        Rule(
            when=lambda one: of("replaced.tar.gz")(one) and one.headers["range"].startswith(last),
            before=lambda: stand.put("replaced.tar.gz", new),
        )
    )
    answers = [stand.ask("replaced.tar.gz")]
    is_new = answers[0][0].status_code == 200 and "scores" not in answers[0][0].json()["aspects"][0]
    stand.judge(f"replaced at range {parts} of {parts}", "200, the new version", answers, is_right=is_new)


def swapped(stand: Stand) -> None:
    """A loaded model replaced in S3 is served anew soon; a broken version leaves the old one serving."""
    stand.put("swapped.tar.gz", stand.models.archive(padding=0))
    answers = [stand.ask("swapped.tar.gz")]
    stand.put("swapped.tar.gz", b"broken")
    before = stand.metric("absa_store_refused_replacements_total")
    while stand.metric("absa_store_refused_replacements_total") == before:
        answers.append(stand.ask("swapped.tar.gz"))
    stand.put("swapped.tar.gz", stand.models.archive(with_scores=False, padding=0))
    while answers[-1][0].status_code == 200 and "scores" in answers[-1][0].json()["aspects"][0]:
        answers.append(stand.ask("swapped.tar.gz"))
    is_right = {response.status_code for response, _ in answers} == {200}
    stand.judge("replaced while it serves: broken, then good", "200 throughout", answers, is_right=is_right)


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


def environment(uri: str, endpoint: str, cache: Path, *, timeout_s: float, **more: str) -> dict[str, str]:
    """A server's variables."""
    return {
        "ABSA_MODEL_STORE": uri,
        "ABSA_MODEL_TTL_S": "0.2",
        "ABSA_CACHE_DIR": str(cache),
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": str(timeout_s),
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }


KEYS: dict[str, dict[str, str]] = {
    "wrong keys": {"AWS_ACCESS_KEY_ID": "UNKNOWN", "AWS_SECRET_ACCESS_KEY": "UNKNOWN"},
    "no credentials": {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": "/nonexistent"},
}


def keys(stand: Stand, uri: str, work: Path, cache: Path) -> None:
    """Servers that S3 does not know."""
    for fault, credentials in KEYS.items():
        variables = environment(uri, stand.proxy.url, cache, timeout_s=20, **credentials)
        with ServerProcess(variables, log=work / f"{fault}.log") as server:
            server.wait_until_ready()
            begin = time.monotonic()
            body = {"text": TEXT, "parameters": {"model": WARM}}
            response = httpx.post(f"{server.url}/invocations", json=body, timeout=60, trust_env=False)
        is_right = is_told_refusal(response, stand)
        stand.judge(fault, "502 StoreRefused", [(response, time.monotonic() - begin)], is_right=is_right)


def clean(stand: Stand, cache: Path) -> None:
    """Nothing is in use, nothing half-written lies on the disk."""
    answers = [stand.ask(WARM)]
    left = list(cache.glob("*/temporary/*"))
    is_right = not left and stand.metric("absa_models_leased") == 0 and stand.metric("absa_requests_pending") == 0
    stand.judge("afterwards", "nothing left behind", answers, is_right=is_right)


def drill(models: Models, work: Path, cache: Path, *, callers: int = 32, timeout_s: float = 4.0) -> list[Outcome]:
    """Every fault, one after the other, against one server but for those of the keys."""
    upstream = urlsplit(os.environ["AWS_ENDPOINT_URL_S3"])
    with (
        closing(make_client(endpoint_url=upstream.geturl(), region="us-east-1")) as client,
        bucket(client) as name,
        FaultProxy((str(upstream.hostname), upstream.port or 80)) as proxy,
    ):
        uri = f"s3://{name}/models/"

        def put(key: str, data: bytes) -> None:
            client.put_object(Bucket=name, Key=f"models/{key}", Body=data)

        variables = environment(uri, proxy.url, cache, timeout_s=timeout_s)
        with ServerProcess(variables, log=work / "server.log") as server:
            server.wait_until_ready()
            with httpx.Client(base_url=server.url, timeout=120, trust_env=False) as http:
                stand = Stand(server, proxy, put, models, http)
                put(WARM, models.archive(padding=0))
                until_answered(stand, WARM)  # the first load converts the networks
                crowd(stand, callers)
                for scenario in (passing, refused, replaced, swapped, lasting):
                    scenario(stand)
                keys(stand, uri, work, cache)
                clean(stand, cache)
        return stand.outcomes


def main(
    models: Annotated[Path, typer.Option(help="folder with aspect/ and sentiment/")],
    megabytes: Annotated[int, typer.Option(help="size of the archives of the crowd and of the replaced model")] = 90,
    callers: Annotated[int, typer.Option(help="requests for one cold model at the same time")] = 32,
    timeout_s: Annotated[float, typer.Option(help="deadline of a request, in seconds")] = 20.0,
) -> None:
    """Faults of S3, each as its callers see it."""
    if "AWS_ENDPOINT_URL_S3" not in os.environ:
        Console(stderr=True).print("AWS_ENDPOINT_URL_S3 is not set: a real S3 server is needed")
        raise typer.Exit(2)
    work = Path(tempfile.mkdtemp())
    begin = time.monotonic()
    try:
        outcomes = drill(
            Models(read_files(models), megabytes << 20), work, work / "cache", callers=callers, timeout_s=timeout_s
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)
    table = Table("fault", "must be", "was", "s", "right", "said", title=f"S3 fails, {time.monotonic() - begin:.0f} s")
    for outcome in outcomes:
        table.add_row(*outcome.row())
    Console(width=200).print(table)
    sys.exit(not all(outcome.is_right for outcome in outcomes))


if __name__ == "__main__":
    typer.run(main)
