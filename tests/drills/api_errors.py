"""Every row of the function's error table, over HTTP: by a container, by local-sagemaker, by a scripted runtime."""

import json

import httpx

from tests.drills.api_calls import Calls, Row
from tests.drills.api_stand import Stand
from tests.infra.invoke_lambda.conformance import Conformance
from tests.infra.invoke_lambda.scripted_runtime import Scripted, error, model_error

SECRET = "what the container said"
BODY = {"code": 0, "type": "Overloaded", "message": SECRET, "request_id": "r", "retry_after_s": 7}

# Row, status of the container, what the caller gets, its Retry-After, whether the container's words are repeated.
CONTAINER = [
    ("container 429", 429, 429, "7", False),
    ("container 503", 503, 503, "7", False),
    ("container 507", 507, 503, "7", False),
    ("container 400", 400, 400, None, True),
    ("container 413", 413, 413, None, True),
    ("container 415", 415, 415, None, True),
    ("container 422", 422, 422, None, True),
    ("container 404", 404, 400, None, True),
    ("container 500", 500, 502, None, False),
    ("container 0", 0, 502, None, False),
]
# Row, what the runtime answers, what the caller gets, and how many tries are made of it.
RUNTIME = [
    ("ThrottlingException as 400", error(400, "ThrottlingException"), 429, 3),
    ("ThrottlingException as 429", error(429, "ThrottlingException"), 429, 3),
    ("ModelNotReadyException", error(429, "ModelNotReadyException"), 503, 3),
    ("ServiceUnavailable", error(503, "ServiceUnavailable"), 503, 3),
    ("InternalFailure", error(500, "InternalFailure"), 502, 3),
    ("InternalDependencyException", error(530, "InternalDependencyException"), 502, 1),
    ("ValidationError: no model data", error(400, "ValidationError", "Failed to download model data(bucket)"), 404, 1),
    ("ValidationError: not found", error(400, "ValidationError", "Endpoint absa of account 1 not found."), 500, 1),
    ("AccessDeniedException", error(403, "AccessDeniedException", "User: arn:aws:sts::1 is not authorized"), 500, 1),
    ("an error nobody knows", error(418, "TeapotException"), 500, 1),
    ("read timeout", Scripted(does="wait"), 504, 1),
    ("connection dropped", Scripted(does="drop"), 502, 1),
    ("answer cut short", Scripted(does="cut"), 502, 1),
]
S3 = [
    ("AccessDenied", error(403, "AccessDenied"), 500),
    ("InternalError", error(500, "InternalError"), 502),
    ("SlowDown", error(503, "SlowDown"), 503),
    ("read timeout", Scripted(does="wait"), 504),
]


def ask_for_errors(stand: Stand, conformance: Conformance, *, is_small: bool = False) -> list[Row]:
    """One row a call. `is_small`: by GET only as many as make every status of the document be seen."""
    container, missing, nobody, runtime, later = (
        Calls(name, stand.functions[name], conformance)
        for name in ("container", "missing", "nobody", "runtime", "runtime async")
    )
    _of_a_container(container)
    _of_the_runtime(runtime, stand, is_small=is_small)
    _of_jobs(later, stand)
    _of_s3(runtime, later, stand)
    missing.ask("ValidationError of local-sagemaker: not found", "POST", "/v1/analyze", 500, json={"text": "a"})
    nobody.ask("no connection", "POST", "/v1/analyze", 503, _retry_after("1"), json={"text": "a"})
    _of_confirmed(runtime, stand)
    return [*container.rows, *runtime.rows, *later.rows, *missing.rows, *nobody.rows]


def _retry_after(wanted: str | None) -> object:
    return lambda found: found.headers.get("retry-after") == wanted


def _of_a_container(calls: Calls) -> None:
    for row, status, told, retry_after, is_repeated in CONTAINER:
        text = json.dumps({"status": status, "said": BODY})

        def check(found: httpx.Response, retry=retry_after, is_repeated=is_repeated) -> bool:
            return found.headers.get("retry-after") == retry and (SECRET in found.text) == is_repeated

        calls.ask(row, "POST", "/v1/analyze", told, check, json={"text": text})


def _ways(calls: Calls) -> list[tuple[str, str, dict[str, object]]]:
    """Each route that asks the endpoint for an answer."""
    return [
        ("GET", "/v1/analyze", {"params": {"text": "a"}}),
        ("POST", "/v1/analyze", {"json": {"text": "a"}}),
        ("GET", "/v1/health", {"params": {"deep": "1"}}),
    ]


def _of_the_runtime(calls: Calls, stand: Stand, *, is_small: bool) -> None:
    refusals = [(row, model_error(status, BODY), told, 1) for row, status, told, _, _ in CONTAINER]
    for method, path, arguments in _ways(calls):
        table = [*RUNTIME, *refusals]
        # The last of each status: these are not tried again, and so take no time.
        for row, scripted, told, tries in (
            {one[2]: one for one in table}.values() if is_small and method == "GET" else table
        ):
            wanted = 1 if path == "/v1/health" else tries
            stand.runtime.script[:] = [scripted] * 3
            before = len(stand.runtime.calls)
            calls.ask(f"{row}, {method} {path}", method, path, told, **arguments)
            _count(calls, len(stand.runtime.calls) - before, wanted)
            stand.runtime.script.clear()
    stand.runtime.script[:] = [error(429, "ModelNotReadyException"), error(503, "ServiceUnavailable")]
    calls.ask("two failures, then an answer", "POST", "/v1/analyze", 200, json={"text": "a"})
    calls.ask("65 reviews", "POST", "/v1/analyze", 400, json={"texts": ["a"] * 65})
    calls.ask("a GET with no text", "GET", "/v1/analyze", 400)


def _of_jobs(calls: Calls, stand: Stand) -> None:
    for row, scripted, told, tries in RUNTIME:
        if told == 404 or scripted.does == "cut":
            continue
        stand.runtime.script[:] = [scripted] * 3
        before = len(stand.runtime.calls)
        calls.ask(f"{row}, POST /v1/jobs", "POST", "/v1/jobs", told, json={"text": "a"})
        _count(calls, len(stand.runtime.calls) - before, tries)
        stand.runtime.script.clear()


def _of_s3(single: Calls, later: Calls, stand: Stand) -> None:
    stand.runtime.script[:] = [error(400, "InvalidArgument")]
    single.ask("S3 does not know a page", "GET", "/v1/models?next=bad", 400)
    for calls, path in ((single, "/v1/models"), (later, f"/v1/results/{'0' * 32}.x")):
        for row, scripted, told in S3:
            stand.runtime.script[:] = [scripted] * 3
            calls.ask(f"S3's {row}, GET {path[:11]}", "GET", path, told)
            stand.runtime.script.clear()


def _of_confirmed(calls: Calls, stand: Stand) -> None:
    tag = calls.ask("a review", "GET", "/v1/analyze?text=a", 200).headers["etag"]
    before = len(stand.runtime.calls)
    calls.ask("a confirmed ETag", "GET", "/v1/analyze?text=a", 304, headers={"If-None-Match": f'"x", {tag}'})
    _count(calls, len(stand.runtime.calls) - before, 0)


def _count(calls: Calls, made: int, wanted: int) -> None:
    """The calls that reached the runtime are part of the row before."""
    if made != wanted:
        calls.rows[-1].complaints.append(f"expected {wanted} tries, got {made}")
