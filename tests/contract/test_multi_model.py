"""What public test suites assert of SageMaker's multi-model API, against the real server process.

IT: aws/sagemaker-inference-toolkit, SKL: aws/sagemaker-scikit-learn-container, XGB: aws/sagemaker-xgboost-container,
TR: triton-inference-server qa/L0_sagemaker, MMS: awslabs/multi-model-server ModelServerTest.
"""

import json
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import start_server  # noqa: F401  the fixture

BODY = {"text": "The food was great, but the staff was slow."}


class Client:
    """The five calls, as the platform makes them."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def load(self, name: str, folder: Path | str) -> httpx.Response:
        return self.http.post("/models", json={"model_name": name, "url": str(folder)})

    def unload(self, name: str) -> httpx.Response:
        return self.http.delete(f"/models/{name}")

    def list(self, **query) -> dict:
        response = self.http.get("/models", params=query)
        assert response.status_code == 200
        return response.json()

    def get(self, name: str) -> httpx.Response:
        return self.http.get(f"/models/{name}")

    def invoke(self, name: str) -> httpx.Response:
        return self.http.post(f"/models/{name}/invoke", json=BODY)


@pytest.fixture(scope="module")
def running(start_server):  # noqa: F811
    with start_server(None, {"SAGEMAKER_MULTI_MODEL": "true"}) as server:
        yield server


@pytest.fixture
def client(running):
    made = Client(running.url)
    yield made
    for model in made.list()["models"]:
        made.unload(model["modelName"])
    made.http.close()


@pytest.fixture
def clients():
    """Makes clients of servers that a test starts itself, and closes them."""
    made: list[Client] = []

    def make(url: str) -> Client:
        made.append(Client(url))
        return made[-1]

    yield make
    for client in made:
        client.http.close()


@pytest.fixture(scope="session")
def folder(tiny_models, tmp_path_factory):
    """A model as the platform unpacks it, in a folder that nobody may write to."""
    made = tmp_path_factory.mktemp("opt") / "ml" / "models" / "hash" / "model"
    shutil.copytree(tiny_models, made)
    return made


def test_ping_and_empty_list(client):
    """IT, SKL, XGB test_ping, test_list_models_empty: 200, and exactly `{"models": []}`."""
    assert client.http.get("/ping").status_code == 200
    response = client.http.get("/models")
    assert (response.status_code, response.json()) == (200, {"models": []})


def test_unload_of_what_is_not_loaded(client):
    """IT test_delete_unloaded_model, SKL/XGB test_unload_non_existing_model, TR: 404."""
    response = client.unload("sm_non_loaded_model")
    assert response.status_code == 404
    assert response.json()["message"] == "Model not found: sm_non_loaded_model"


def test_load_list_and_unload(client, folder):
    """IT test_load_models, test_unload_models: statuses, and the list sorted by name."""
    for name in ("resnet_152", "resnet_18"):
        response = client.load(name, folder)
        assert response.status_code == 200, response.text
        assert response.json()["status"] == "Workers scaled"
    assert client.list() == {
        "models": [{"modelName": name, "modelUrl": str(folder)} for name in ("resnet_152", "resnet_18")]
    }
    response = client.unload("resnet_152")
    assert (response.status_code, response.json()["status"]) == (200, 'Model "resnet_152" unregistered')
    assert [model["modelName"] for model in client.list()["models"]] == ["resnet_18"]


def test_get_a_model(client, folder):
    """TR sagemaker_multi_model_test: get is `{modelName, modelUrl}` of what is loaded, 404 of what is not."""
    client.load("a", folder)
    assert client.get("a").json() == {"modelName": "a", "modelUrl": str(folder)}
    assert client.get("b").status_code == 404


def test_load_of_what_is_not_there(client, tmp_path):
    """IT, SKL, XGB test_load_non_existing_model; MMS `Model not found in model store`: 404."""
    response = client.load("a", tmp_path / "absent")
    assert response.status_code == 404
    assert response.json()["message"].startswith("Model not found in model store: ")


def test_load_twice(client, folder):
    """IT test_load_model_multiple_times, SKL/XGB test_load_one_model_two_times, TR: 409 and MMS's words."""
    assert client.load("a", folder).status_code == 200
    response = client.load("a", folder)
    assert response.status_code == 409
    assert response.json()["message"] == "Model a is already registered."
    assert client.invoke("a").status_code == 200


def test_load_and_unload_model(client, folder):
    """IT, SKL, XGB test_load_and_unload_model: load, invoke, unload, invoke 404."""
    assert client.load("a", folder).status_code == 200
    answer = client.invoke("a")
    assert answer.status_code == 200
    assert answer.json()["aspects"]
    assert client.unload("a").status_code == 200
    response = client.invoke("a")
    assert (response.status_code, response.json()["message"]) == (404, "Model not found: a")


def test_two_models(client, folder):
    """IT, SKL, XGB test_load_and_unload_two_models: both load, both answer, both unload."""
    assert [client.load(name, folder).status_code for name in "ab"] == [200, 200]
    assert [client.invoke(name).status_code for name in "ab"] == [200, 200]
    assert [client.unload(name).json()["status"] for name in "ab"] == [
        'Model "a" unregistered',
        'Model "b" unregistered',
    ]


def test_invoke_of_what_was_never_loaded(client):
    """SKL/XGB test_container_start_invocation_fail: 404."""
    response = client.invoke("half_plus_three")
    assert (response.status_code, response.json()["message"]) == (404, "Model not found: half_plus_three")


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/models"), ("DELETE", "/models"), ("POST", "/models/a"), ("GET", "/models/a/invoke")]
)
def test_wrong_method(client, method, path):
    """MMS: 405 for a wrong method on `/models` and `/models/{m}`, as JSON."""
    response = client.http.request(method, path)
    assert response.status_code == 405
    assert response.json()["code"] == 405


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"model_name": "a"}',
        b'{"url": "/opt/ml/models/a/model"}',
        b'{"model_name": 1, "url": "/x"}',
        b'{"model_name": "a/b", "url": "/x"}',
        b'{"model_name": "..", "url": "/x"}',
        b'{"model_name": "a", "url": "../fake.mar"}',
        b'{"model_name": "a", "url": "/opt/../etc"}',
        b'{"model_name": "a", "url": "/proc/self"}',
    ],
)
def test_bad_load_requests(client, body):
    """MMS `Parameter url is required.`, relative paths; TR system folders: 400, and nothing is loaded."""
    response = client.http.post("/models", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400, response.text
    assert client.list() == {"models": []}


def test_broken_artifact_is_no_shortage(client, tmp_path, folder):
    """A folder that is no model is 400 InvalidModel with its reason, never 507; others are unharmed."""
    (tmp_path / "readme.txt").write_text("no model")
    client.load("good", folder)
    response = client.load("bad", tmp_path)
    assert (response.status_code, response.json()["type"]) == (400, "InvalidModel")
    assert "config.json" in response.json()["message"]
    assert client.invoke("good").status_code == 200
    assert client.invoke("bad").status_code == 404


def test_pages(client, folder):
    """The contract's paging: a token leads to the next page, and an exactly full last page has none (MMS's bug)."""
    for name in "abcd":
        client.load(name, folder)
    first = client.list(limit=2)
    second = client.list(limit=2, next_page_token=first["nextPageToken"])
    assert [model["modelName"] for page in (first, second) for model in page["models"]] == list("abcd")
    assert "nextPageToken" not in second
    for query in ({"limit": 0}, {"limit": 101}, {"limit": "x"}, {"next_page_token": "%"}):
        assert client.http.get("/models", params=query).status_code == 400


def test_no_room_is_507_and_spares_the_loaded(start_server, clients, tiny_models, folder):  # noqa: F811
    """A model that finds no room is 507; the loaded one answers on; after its unload the other one loads."""
    size = sum(file.stat().st_size for file in tiny_models.rglob("*") if file.is_file())
    budget_mb = int(size * 1.5) // (1 << 20) + 1
    environment = {"SAGEMAKER_MULTI_MODEL": "true", "ABSA_MEMORY_BUDGET_MB": str(budget_mb)}
    with start_server(None, environment) as server:
        client, names, statuses = clients(server.url), [f"m{n}" for n in range(12)], []
        for name in names:
            statuses.append(client.load(name, folder).status_code)
            if statuses[-1] != 200:
                break
        assert set(statuses[:-1]) == {200}
        assert statuses[-1] == 507
        assert client.invoke("m0").status_code == 200
        assert client.unload("m0").status_code == 200
        assert client.load(names[len(statuses) - 1], folder).status_code == 200


def test_restarted_worker_knows_its_models(start_server, clients, folder):  # noqa: F811
    """After the worker was killed, the next one lists the same models and loads them when they are asked for."""
    with start_server(None, {"SAGEMAKER_MULTI_MODEL": "true"}) as server:
        client = clients(server.url)
        assert client.load("a", folder).status_code == 200
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
        if not children.exists():
            pytest.skip("this kernel does not tell a process's children")
        worker = int(children.read_text().split()[0])
        os.kill(worker, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while str(worker) in children.read_text().split() or server.ping() != 200:
            assert time.monotonic() < deadline, "no new worker within 60 s"
        fresh = clients(server.url)
        assert [model["modelName"] for model in fresh.list()["models"]] == ["a"]
        assert fresh.load("a", folder).status_code == 409
        assert fresh.invoke("a").status_code == 200
        assert fresh.unload("a").status_code == 200
        assert fresh.list() == {"models": []}


def test_same_name_is_ordered_and_different_names_run_together(client, folder):
    """Eight loads of one name: one 200, seven 409; loads and unloads mixed leave what the list says, and it answers."""
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: client.load("a", folder).status_code, range(8)))
        assert sorted(statuses) == [200] + [409] * 7
        mixed = list(pool.map(lambda n: (client.load if n % 2 else _unload(client))("a", folder).status_code, range(8)))
    assert set(mixed) <= {200, 404, 409}
    is_listed = bool(client.list()["models"])
    assert client.invoke("a").status_code == (200 if is_listed else 404)


def _unload(client: Client):
    return lambda name, _: client.unload(name)


def test_models_folder_is_never_written_to(client, folder):
    """Loading, answering and unloading leave every file below the model's folder as it was."""

    def state() -> str:
        return json.dumps(sorted((str(file), file.stat().st_mtime_ns) for file in folder.rglob("*")))

    before = state()
    client.load("a", folder)
    client.invoke("a")
    client.unload("a")
    assert state() == before
