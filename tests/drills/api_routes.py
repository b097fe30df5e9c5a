"""Every route of the API, asked of functions with real servers behind them, and every refusal of its own."""

import json
import time
import uuid

import httpx

from tests.drills.api_calls import Calls, Row
from tests.drills.api_stand import MODEL, Stand
from tests.infra.invoke_lambda.conformance import Conformance

TEXT = "The food was great, but the service was slow."
# The containers refuse it: there is nothing to read in it.
INVISIBLE = "\u200b"
WAIT_S, POLL_S = 30.0, 0.05
LARGE_BYTES = 3_000_000


def ask_routes(stand: Stand, conformance: Conformance) -> list[Row]:
    """One row a call."""
    single, later, many = (
        Calls(name, stand.functions[name], conformance) for name in ("single", "async", "multi-model")
    )
    _analyze(single)
    _refused(single)
    _around(single)
    _jobs(later, stand)
    _models(many)
    _unsigned(single)
    return [*single.rows, *later.rows, *many.rows]


def _is_rated(response: httpx.Response) -> bool:
    return bool(response.json()["aspects"]) and all(one["polarity"] for one in response.json()["aspects"])


def _problem(name: str, says: str = "") -> object:
    def check(response: httpx.Response) -> bool:
        told = response.json()
        return told["type"] == f"urn:absa:problem:{name}" and says in told.get("detail", "")

    return check


def _analyze(calls: Calls) -> None:
    path = "/v1/analyze"
    first = calls.ask("GET a review", "GET", path, 200, _is_rated, params={"text": TEXT})
    tag = first.headers["etag"]
    known = {"If-None-Match": tag}
    calls.ask("GET it again", "GET", path, 304, params={"text": TEXT}, headers=known)
    calls.ask("GET another, same ETag", "GET", path, 200, params={"text": TEXT + " Yes."}, headers=known)
    options = {"text": f"🍲 {TEXT}", "offsets": "utf16", "min_score": "0.1", "return_text": "true", "mode": "aspects"}
    calls.ask(
        "GET with options", "GET", path, 200, lambda found: found.json()["text"] == options["text"], params=options
    )
    calls.ask("GET 2,000 characters", "GET", path, 200, params={"text": "好" * 2000})
    calls.ask("POST one", "POST", path, 200, _is_rated, json={"text": TEXT})
    texts = [TEXT, {"id": 7, "text": TEXT, "aspects": ["food"]}] * 32
    calls.ask(
        "POST 64, with ids and given aspects",
        "POST",
        path,
        200,
        lambda found: len(found.json()["results"]) == 64 and found.json()["results"][1]["id"] == 7,
        json={"texts": texts},
        headers={"Idempotency-Key": '"order-17"', "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"},
    )
    calls.ask(
        "POST two, one unreadable",
        "POST",
        path,
        200,
        lambda found: "error" in found.json()["results"][1],
        json={"texts": [TEXT, INVISIBLE]},
    )


def _refused(calls: Calls) -> None:
    path, bad = "/v1/analyze", _problem("invalid-request")
    calls.ask("GET without a text", "GET", path, 400, _problem("invalid-request", "text"))
    calls.ask("GET two texts", "GET", f"{path}?text=a&text=b", 400, _problem("invalid-request", "once"))
    calls.ask("GET an unknown parameter", "GET", path, 400, bad, params={"text": "a", "lang": "en"})
    calls.ask("GET a bad parameter", "GET", path, 400, bad, params={"text": "a", "min_score": "2"})
    calls.ask("GET what the container refuses", "GET", path, 400, bad, params={"text": INVISIBLE})
    calls.ask("GET a model of an endpoint of one", "GET", path, 400, bad, params={"text": "a", "model": MODEL})
    calls.ask("GET 2,001 characters", "GET", path, 414, _problem("text-too-long", "POST"), params={"text": "a" * 2001})
    calls.ask("POST an unknown field", "POST", path, 400, bad, json={"txt": TEXT})
    calls.ask("POST no JSON", "POST", path, 400, bad, content=b"{", headers={"Content-Type": "application/json"})
    calls.ask("POST plain text", "POST", path, 415, content=b"a", headers={"Content-Type": "text/plain"})
    calls.ask("POST 1 MiB and a little", "POST", path, 413, json={"text": "a" * 1024 * 1024})
    calls.ask(
        "POST 20,001 characters", "POST", path, 400, _problem("invalid-request", "20000"), json={"text": "a" * 20_001}
    )
    calls.ask("POST a bad key", "POST", path, 400, bad, json={"text": TEXT}, headers={"Idempotency-Key": "a b"})
    calls.ask("POST a job", "POST", "/v1/jobs", 404, _problem("not-of-this-shape"), json={"text": TEXT})
    calls.ask("GET a job", "GET", f"/v1/results/{'0' * 32}.x", 404, _problem("not-of-this-shape"))


def _around(calls: Calls) -> None:
    calls.ask("GET health", "GET", "/v1/health", 200)
    calls.ask("GET deep health", "GET", "/v1/health?deep=1", 200, lambda found: found.json()["endpoint"] == "ok")
    calls.ask("GET health, deep=2", "GET", "/v1/health?deep=2", 400)
    calls.ask("GET version", "GET", "/v1/version", 200, lambda found: found.json()["release"] == "1")
    calls.ask("GET version with a query", "GET", "/v1/version?x=1", 400)
    for path in calls.conformance.document["paths"]:
        if "proxy" not in path:
            calls.ask(f"DELETE {path}", "DELETE", path.replace("{id}", "1"), 405, lambda found: found.headers["allow"])
    calls.ask("GET an unknown path", "GET", "/v2/analyze", 404, _problem("not-found"))


def _unsigned(calls: Calls) -> None:
    for path, operations in calls.conformance.document["paths"].items():
        for method in operations:
            if not method.startswith("x-"):
                name = method.upper()
                calls.ask_unsigned(f"{name} {path}, unsigned", name, path.replace("{id}", "1"), 403)


def _jobs(calls: Calls, stand: Stand) -> None:
    path = "/v1/jobs"
    done = calls.ask("POST a job", "POST", path, 202, json={"texts": [TEXT] * 65})
    result = done.headers["location"].removeprefix("/live")
    _wait(calls, result)
    calls.ask("GET its result", "GET", result, 200, lambda found: len(found.json()["answer"]["results"]) == 65)
    failing = calls.ask("POST a job that fails", "POST", path, 202, json={"text": INVISIBLE})
    result = failing.headers["location"].removeprefix("/live")
    _wait(calls, result)
    calls.ask(
        "GET it", "GET", result, 200, lambda found: found.json() == found.json() | {"state": "failed", "status": 400}
    )
    waiting = uuid.uuid4().hex
    stand.store.put(f"jobs/questions/{waiting}.json", b"{}")
    calls.ask("GET a job that waits", "GET", f"/v1/results/{waiting}.later", 202)
    body = json.dumps({"results": [{"aspects": []}], "padding": "x" * LARGE_BYTES}).encode()
    stand.store.put("jobs/answers/large.out", body)
    large = calls.ask("GET a large answer", "GET", f"/v1/results/{waiting}.large", 303)
    fetched = httpx.get(large.headers["location"], trust_env=False)
    assert fetched.content == body, "the address does not lead to the answer"
    calls.ask("GET an unknown job", "GET", f"/v1/results/{'0' * 32}.none", 404, _problem("not-found"))
    calls.ask("GET what is no id", "GET", "/v1/results/1", 404, _problem("not-found"))
    calls.ask("GET a job with a query", "GET", f"/v1/results/{waiting}.later?x=1", 400)
    calls.ask("POST an empty job", "POST", path, 400, json={"texts": []})
    calls.ask("POST a job as text", "POST", path, 415, content=b"a", headers={"Content-Type": "text/plain"})
    calls.ask("POST a job above 4 MiB", "POST", path, 413, json={"text": "a" * 4 * 1024 * 1024})
    calls.ask("GET a review", "GET", "/v1/analyze?text=a", 404, _problem("not-of-this-shape"))
    calls.ask("POST a review", "POST", "/v1/analyze", 404, _problem("not-of-this-shape"), json={"text": "a"})
    calls.ask("GET deep health", "GET", "/v1/health?deep=1", 404, _problem("not-of-this-shape"))


def _wait(calls: Calls, result: str) -> None:
    """Until the job is not pending any more; these calls are no rows."""
    end = time.monotonic() + WAIT_S
    while calls.function.ask("GET", result).status_code == 202:
        assert time.monotonic() < end, "the job was never done"
        time.sleep(POLL_S)


def _models(calls: Calls) -> None:
    def names(response: httpx.Response) -> list[str]:
        return [one["name"] for one in response.json()["models"]]

    calls.ask("GET models", "GET", "/v1/models", 200, lambda found: names(found) == ["old/shop.tar.gz", MODEL])
    page = calls.ask("GET models, a page of 2", "GET", "/v1/models?limit=2", 200, lambda found: "next" in found.json())
    more = {"limit": "2", "next": page.json()["next"]}
    calls.ask("GET the next page", "GET", "/v1/models", 200, lambda found: names(found) == [MODEL], params=more)
    calls.ask("GET models, limit=0", "GET", "/v1/models?limit=0", 400)
    calls.ask("GET with a model", "GET", "/v1/analyze", 200, _is_rated, params={"text": TEXT, "model": MODEL})
    calls.ask("POST with a model", "POST", "/v1/analyze", 200, _is_rated, json={"text": TEXT, "model": MODEL})
    calls.ask("GET deep health of a model", "GET", f"/v1/health?deep=1&model={MODEL}", 200)
    calls.ask("POST without a model", "POST", "/v1/analyze", 400, json={"text": TEXT})
    calls.ask("POST a path as a model", "POST", "/v1/analyze", 400, json={"text": TEXT, "model": "../a.tar.gz"})
    unknown = {"text": TEXT, "model": "none.tar.gz"}
    calls.ask("POST an unknown model", "POST", "/v1/analyze", 404, _problem("model-not-found"), json=unknown)
    calls.ask("GET an unknown model", "GET", "/v1/analyze", 404, _problem("model-not-found"), params=unknown)
