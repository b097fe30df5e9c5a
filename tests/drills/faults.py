"""A server over a real S3 that fails as it is told: what callers see, and that other models and the disk are unharmed.

Prints a row for each fault; ends with 1 if any answer is not what it must be. Run by `make drill-faults`, which needs a
real S3 server in AWS_ENDPOINT_URL_S3.
"""

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
import typer
from rich.console import Console
from rich.table import Table

from model_loader.s3_client import make_client
from tests.drills.fault_stand import (
    TEXT,
    WARM,
    Models,
    Outcome,
    Stand,
    all_good,
    any_of,
    bucket,
    is_refusal,
    of,
    read_files,
    until_answered,
)
from tests.faults.proxy import FaultProxy, Request, Rule
from tests.integration.server_process import ServerProcess


def begin_and_end(request: Request) -> tuple[int, int]:
    """Of the range that was asked for; the end is exclusive."""
    begin, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
    return int(begin), int(last) + 1


def crowd(stand: Stand, callers: int) -> None:
    """Many requests for one cold model: each byte is asked for once, and the model is loaded once."""
    data = stand.models.archive()
    stand.put("cold.tar.gz", data)
    loads = stand.metric("absa_models_loads_total")
    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(lambda _: stand.ask("cold.tar.gz"), range(callers)))
    ranges = sorted(begin_and_end(one) for one in stand.requests("cold.tar.gz", "GET"))
    begins, ends = [begin for begin, _ in ranges], [end for _, end in ranges]
    is_once = [*begins, len(data)] == [0, *ends] and len(stand.requests("cold.tar.gz", "HEAD")) == 1
    is_right = is_once and stand.metric("absa_models_loads_total") == loads + 1 and all_good(answers)
    wanted = f"200, {len(ranges)} ranges, each byte once"
    stand.judge(f"{callers} callers of a cold model", wanted, answers, is_right=is_right)


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
    old, new = stand.models.archive(), stand.models.archive(with_scores=False)
    stand.put("replaced.tar.gz", old)
    stand.proxy.add(
        Rule(
            when=lambda one: of("replaced.tar.gz")(one) and begin_and_end(one)[1] == len(old),
            before=lambda: stand.put("replaced.tar.gz", new),
        )
    )
    answers = [stand.ask("replaced.tar.gz")]
    is_new = answers[0][0].status_code == 200 and "scores" not in answers[0][0].json()["aspects"][0]
    stand.judge("replaced at its last range", "200, the new version", answers, is_right=is_new)


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


# A fetch whose last waiter has left ends with its own time limits.
CLEAN_S = 30.0


def clean(stand: Stand, cache: Path) -> None:
    """Nothing is in use, nothing half-written lies on the disk, as soon as the last cut-off fetch has ended."""
    answers = [stand.ask(WARM)]
    end = time.monotonic() + CLEAN_S
    while (left := _left_behind(stand, cache)) and time.monotonic() < end:
        time.sleep(0.2)
    stand.judge("afterwards", f"nothing left behind{''.join(left)}", answers, is_right=not left)


def _left_behind(stand: Stand, cache: Path) -> list[str]:
    gauges = {name: stand.metric(name) for name in ("absa_models_leased", "absa_requests_pending")}
    return [
        *(f"; {file}" for file in cache.glob("*/temporary/*")),
        *(f"; {name} {value:g}" for name, value in gauges.items() if value),
    ]


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
