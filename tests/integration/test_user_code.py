"""Artifacts that bring code/inference.py, served by the real server process; among them the examples of the docs."""

import csv
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.test_waiting import pending, wait_until

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "user-code.md").read_text(encoding="utf-8"), re.DOTALL)
TEXT = "The food was great, but the service was slow."
JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
ON = {"ABSA_USER_CODE": "true"}

# Does what its request says: a server for many tests.
ACTOR = """
import os, time, threading
def input_fn(data, content_type):
    return data if isinstance(data, str) else data.decode()
def predict_fn(data, model, context):
    if data == "raise":
        raise RuntimeError("no luck")
    if data == "refuse":
        error = Exception("too sad")
        error.status_code = 422
        raise error
    if data == "exit":
        raise SystemExit(3)
    if data == "interrupt":
        raise KeyboardInterrupt
    if data == "sleep":
        time.sleep(1.5)
    if data == "context":
        return [context.request_id, context.inference_id, context.custom_attributes]
    if data == "threads":
        time.sleep(0.2)
        return sum(thread.name == "user-code" for thread in threading.enumerate())
    if data == "model":
        return model(["The food was great.", ""])
    return [data, threading.current_thread() is threading.main_thread()]
def output_fn(prediction, accept):
    import json
    if prediction == ["split", False]:
        return "x", "text/plain\\r\\nX-Evil: 1"
    return json.dumps(prediction), "application/x-acted"
"""


@pytest.fixture(scope="module")
def artifact(tiny_models, tmp_path_factory):
    """Makes an artifact of the tiny models (or the named ones of them) and a script."""

    def make(script: str, names=("aspect", "sentiment"), **files: str) -> Path:
        root = tmp_path_factory.mktemp("artifact")
        for name in names:
            shutil.copytree(tiny_models / name, root / name)
        (root / "code").mkdir()
        for name, content in {"inference.py": script, **files}.items():
            (root / "code" / name).write_text(content, encoding="utf-8")
        return root

    return make


@pytest.fixture(scope="module")
def actor(start_server, artifact):
    """A server whose code does what the body says."""
    with start_server(artifact(ACTOR), ON | {"ABSA_INFERENCE_THREADS": "2"}) as server:
        yield server


def post(server, content, content_type="text/plain", **headers):
    sent = {"content-type": content_type} | headers
    return httpx.post(f"{server.url}/invocations", content=content, headers=sent, timeout=60, trust_env=False)


FORMATS = [
    (json.dumps({"text": TEXT, "id": 7}), JSON, JSON),
    (json.dumps({"texts": [TEXT, "", TEXT]}), JSON, JSON),
    (
        f'{json.dumps(TEXT)}\n{{broken\n{{"text": "\U0001f600 {TEXT}", "parameters": {{"offsets": "utf16"}}}}',
        LINES,
        LINES,
    ),
    (
        json.dumps(
            {"text": "\U0001f600 food", "parameters": {"offsets": "utf16"}, "aspects": [{"start": 3, "end": 7}]}
        ),
        JSON,
        JSON,
    ),
    (f'id,text\n1,"{TEXT}"\n', CSV, CSV),
]


@pytest.mark.parametrize("dropped", ["neutral", "negative"])
def test_example_of_other_results(start_server, artifact, server, dropped):
    """The first example of the docs: aspects of one polarity are left out, in every format, errors in their place."""
    # The tiny models rate little as neutral: with another polarity the same lines have something to leave out.
    with start_server(artifact(EXAMPLES[0].replace("neutral", dropped)), ON) as running:
        for content, content_type, accept in FORMATS:
            mine, plain = (post(one, content, content_type, accept=accept) for one in (running, server))
            assert mine.headers["content-type"].partition(";")[0] == accept
            expected = [without(result, dropped) for result in results_of(plain, accept)]
            assert results_of(mine, accept) == expected
            assert dropped == "neutral" or expected != results_of(plain, accept) or len(expected) == 1
        refused = post(running, "{", JSON)
        assert (refused.status_code, refused.json()["type"]) == (400, "InvalidRequest")
        assert post(running, "x", "text/html").status_code == 415
        assert post(running, json.dumps(TEXT), JSON, accept="text/html").status_code == 406


def results_of(response, accept):
    if accept == CSV:
        return [{"id": row[0], "aspects": json.loads(row[1])} for row in csv.reader(response.text.splitlines())]
    if accept == LINES:
        return [json.loads(line) for line in response.text.splitlines()]
    return response.json().get("results", [response.json()])


def without(result, polarity):
    if "error" in result:
        return result
    return result | {"aspects": [one for one in result["aspects"] if one["polarity"] != polarity]}


def test_example_of_aspects_from_ones_own_model(start_server, artifact):
    """The second example of the docs: found by a list of terms, rated by the artifact's sentiment model."""
    root = artifact(EXAMPLES[1], ("sentiment",), **{"terms.txt": "food\nservice\n"})
    with start_server(root, ON) as running:
        answer = post(running, json.dumps({"text": TEXT}), JSON)
        assert answer.status_code == 200
        aspects = answer.json()["aspects"]
    assert [(one["term"], one["start"]) for one in aspects] == [("food", 4), ("service", 28)]
    assert all(one["polarity"] in {"positive", "negative", "neutral"} for one in aspects)


def test_model_that_is_code_alone(start_server, artifact):
    """No networks at all: the model is what model_fn makes, and the toolkit's codecs are the default."""
    script = "def model_fn(model_dir): return 2\ndef predict_fn(data, model): return data * model\n"
    with start_server(artifact(script, ()), ON) as running:
        answer = post(running, "[1, 2.5]", JSON)
        assert (answer.json(), answer.headers["content-type"]) == ([2.0, 5.0], JSON)
        assert post(running, "1,2\n", CSV, accept=CSV).text == "2\n4\n"


def test_code_is_off_unless_it_is_asked_for(start_server, artifact, server):
    """Without the variable the artifact is served as if the file were not there, and the log says so."""
    with start_server(artifact("raise SystemExit(3)")) as running:
        assert post(running, TEXT).json() == post(server, TEXT).json()
        (event,) = running.events("user_code_ignored")
        assert "ABSA_USER_CODE" in event["remedy"]


def test_script_that_cannot_be_loaded_is_a_model_that_cannot(start_server, artifact):
    """The server lives, is never ready, and says why."""
    with start_server(artifact("import no_such_module"), ON, is_awaited=False) as running:
        running.wait_until_bound()
        wait_until(lambda: running.events("model_load_failed"))
        assert running.ping() == 503
        assert "no_such_module" in post(running, TEXT).json()["message"]


def test_code_runs_beside_the_event_loop(actor):
    """In threads that are not the loop's; what it returns has the type that it says."""
    answer = post(actor, "hello")
    assert (answer.json(), answer.headers["content-type"]) == (["hello", False], "application/x-acted")


def test_context_knows_the_request(actor):
    """Its ids and what came beside the body."""
    headers = {"X-Amzn-SageMaker-Inference-Id": "order-1", "X-Amzn-SageMaker-Custom-Attributes": "a=b"}
    assert post(actor, "context", **headers).json() == ["order-1", "order-1", "a=b"]


def test_default_model_answers_dicts(actor):
    """A list of texts gives a list of results, errors in place."""
    first, second = post(actor, "model").json()
    assert first["aspects"]
    assert second["error"]["code"] == 400


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("raise", 500, "RuntimeError: no luck"),
        ("refuse", 422, "too sad"),
        ("exit", 500, "SystemExit"),
        ("interrupt", 500, "KeyboardInterrupt"),
    ],
)
def test_what_the_code_raises_is_an_error_without_a_traceback(actor, body, status, said):
    """Whatever it is, the server lives on; the traceback of a failure is in the log under the request's id."""
    answer = post(actor, body)
    assert (answer.status_code, answer.json()["type"]) == (status, "UserCodeFailed")
    assert said in answer.json()["message"]
    assert "Traceback" not in answer.text
    if status == 500:
        wait_until(lambda: any(e["request_id"] == answer.json()["request_id"] for e in actor.events("request_failed")))
        assert said.partition(":")[0] in actor.log
    assert post(actor, "hello").status_code == 200


def test_content_type_of_the_code_cannot_bring_headers(actor):
    """A line end in it is a failure of the code."""
    answer = post(actor, "split")
    assert answer.status_code == 500
    assert "x-evil" not in answer.headers


def test_no_more_threads_than_streams(actor):
    """A crowd waits for its turn, and all of it is answered."""
    with ThreadPoolExecutor(8) as pool:
        counts = [answer.json() for answer in pool.map(lambda _: post(actor, "threads"), range(8))]
    assert max(counts) <= 2


def test_code_that_outlasts_its_time_is_not_waited_for(start_server, artifact):
    """503 in time; its thread is busy until the code returns, and the server stops meanwhile without waiting for it."""
    environment = ON | {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "0.3", "ABSA_INFERENCE_THREADS": "1"}
    with start_server(artifact(ACTOR.replace("1.5", "3600")), environment) as running:
        answer = post(running, "sleep")
        assert (answer.status_code, answer.json()["type"]) == (503, "DeadlineExceeded")
        assert post(running, "hello").status_code == 503  # no thread is free
        assert running.ping() == 200
        wait_until(lambda: pending(running) == 0)


def test_caller_that_leaves_gives_its_place_back(actor):
    """The thread is busy, the place among the waiting is free."""
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{actor.url}/invocations", content="sleep", headers={"content-type": "a/b"}, timeout=0.3, trust_env=False
        )
    wait_until(lambda: pending(actor) == 0)
    assert post(actor, "hello").status_code == 200


def test_models_of_a_multi_model_endpoint_bring_their_own_code(start_server, artifact):
    """Each its own, side by side."""
    script = "def model_fn(d): return {0}\ndef predict_fn(data, model): return model\n"
    with (
        start_server(None, ON | {"SAGEMAKER_MULTI_MODEL": "true"}) as running,
        httpx.Client(base_url=running.url, trust_env=False, timeout=60) as client,
    ):
        for number in (1, 2):
            folder = str(artifact(script.replace("{0}", str(number)), ()))
            assert client.post("/models", json={"model_name": f"m{number}", "url": folder}).status_code == 200
        assert [client.post(f"/models/m{number}/invoke", json=1).json() for number in (1, 2)] == [1, 2]
        broken = client.post("/models", json={"model_name": "m3", "url": str(artifact("x = 1", ()))})
        assert (broken.status_code, broken.json()["type"]) == (400, "InvalidModel")
