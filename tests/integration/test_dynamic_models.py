"""Models of a store chosen by each request, against a real server process over a folder; S3: test_store_faults."""

import gzip
import io
import json
import random
import shutil
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from absa_server.serving.model_memory import room_for_models
from tests.integration.conftest import StartServer
from tests.integration.server_process import ServerProcess, cache_folder
from tests.model_loader.archives import member, tar_gz_bytes

TEXT = "The food was great, but the staff was slow."
TARGET_MODEL = "X-Amzn-SageMaker-Target-Model"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
TTL_S = 0.05


class Client:
    """Asks one server."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url, timeout=60, trust_env=False)

    def ask(self, headers: Mapping[str, str] | None = None, **parameters: object) -> httpx.Response:
        return self.http.post("/invocations", json={"text": TEXT, "parameters": parameters}, headers=headers)

    def post(self, content: str, content_type: str, attributes: str) -> httpx.Response:
        headers = {"Content-Type": content_type, ATTRIBUTES: attributes}
        return self.http.post("/invocations", content=content, headers=headers)

    def metric(self, name: str) -> float:
        lines = self.http.get("/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def ask_until(self, is_wanted: Callable[[httpx.Response], bool], **parameters: object) -> httpx.Response:
        """Asks again and again, as callers do; none of them is refused. A swap happens between two requests."""
        for _ in range(1000):
            response = self.ask(**parameters)
            assert response.status_code == 200, response.text
            if is_wanted(response):
                return response
        raise AssertionError("it never happened")


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def files(tiny_models: Path) -> dict[str, bytes]:
    """The pair's files."""
    return files_of(tiny_models)


@pytest.fixture(scope="module")
def store(tiny_models: Path, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good models; tests add their own."""
    root = tmp_path_factory.mktemp("store")
    shutil.copytree(tiny_models, root / "pair")
    shutil.copytree(tiny_models / "aspect", root / "finder")
    shutil.copytree(tiny_models / "sentiment", root / "rater")
    (root / "NewYork_NY").mkdir()
    (root / "NewYork_NY" / "NewYork_NY.tar.gz").write_bytes(tar_gz_bytes(files))
    return root


@pytest.fixture(scope="module")
def client(start_server: StartServer, store: Path) -> Iterator[Client]:
    """A server over the store without a default model."""
    with start_server(None, {"ABSA_MODEL_STORE": str(store), "ABSA_MODEL_TTL_S": str(TTL_S)}) as server:
        made = Client(server)
        yield made
        made.http.close()


def put(path: Path, data: bytes) -> None:
    """Replaces a file in one step, as a careful owner does."""
    path.with_suffix(".new").write_bytes(data)
    path.with_suffix(".new").rename(path)


def variant(files: dict[str, bytes], **absa_json: Any) -> bytes:
    return tar_gz_bytes(files | {"absa.json": json.dumps(absa_json).encode()})


def has_scores(response: httpx.Response) -> bool:
    return "scores" in response.json()["aspects"][0]


def test_server_is_ready_before_any_model_is_loaded(start_server, tmp_path):
    """Without a default model a load could be served from the first moment; nothing in the store is needed for that."""
    with start_server(None, {"ABSA_MODEL_STORE": str(tmp_path / "later")}) as server:
        assert server.ping() == 200


@pytest.mark.parametrize("name", ["pair", "NewYork_NY/NewYork_NY.tar.gz"])
def test_request_names_its_model(client, name):
    """A folder and an archive below the prefix, by their paths; the answer says which version gave it."""
    response = client.ask(model=name)
    assert response.status_code == 200, response.text
    assert [one["polarity"] is not None for one in response.json()["aspects"]] == [True, True]
    timing = response.headers["server-timing"]
    assert "load;dur=" in timing
    assert f'model;desc="{name}@' in timing


@pytest.mark.parametrize(
    ("content", "content_type"),
    [(TEXT, "text/plain"), (f'"{TEXT}"\n', "text/csv"), (json.dumps({"text": TEXT}) + "\n", "application/jsonlines")],
)
def test_bodies_without_parameters_name_it_in_the_header(client, content, content_type):
    """The same keys in Custom-Attributes choose for text, CSV and JSON Lines; without them: 400."""
    assert "food" in client.post(content, content_type, "model=pair").text
    assert "food" in client.post(content, content_type, "aspect_model=finder;sentiment_model=rater").text
    assert client.post(content, content_type, "mode=chain").status_code == 400


def test_direct_callers_may_name_it_in_target_model(client):
    """The header chooses where the parameters do not; two different names are refused."""
    assert client.ask({TARGET_MODEL: "pair"}).status_code == 200
    assert client.ask({TARGET_MODEL: "pair"}, model="pair").status_code == 200
    refused = client.ask({TARGET_MODEL: "pair"}, model="finder")
    assert refused.status_code == 400
    assert TARGET_MODEL in refused.json()["message"]


def test_any_two_models_are_chained(client):
    """One model's aspects are rated by another, as the pair rates its own; one stage may come from a whole model."""
    whole = client.ask(model="pair").json()["aspects"]
    for parameters in (
        {"aspect_model": "finder", "sentiment_model": "rater"},
        {"aspect_model": "pair", "sentiment_model": "rater"},
        {"model": "pair", "aspect_model": "finder"},
        {"model": "pair", "sentiment_model": "rater"},
    ):
        response = client.ask(**parameters)
        assert response.json()["aspects"] == whole, parameters
        assert 'aspect_model;desc="' in response.headers["server-timing"]


def test_half_of_a_pipeline_stands_alone(client):
    """An aspect-only model answers as the first container of a pipeline does, without naming itself to the next."""
    response = client.ask(model="finder")
    assert response.json()["text"] == TEXT
    assert "parameters" not in response.json()


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"aspect_model": "rater", "sentiment_model": "rater"}, "aspect_model"),
        ({"aspect_model": "rater", "sentiment_model": "pair"}, "aspect_model"),
        ({"aspect_model": "finder", "sentiment_model": "finder"}, "sentiment_model"),
        ({"aspect_model": "pair", "sentiment_model": "finder"}, "sentiment_model"),
        ({}, "model"),
        ({"aspect_model": "finder"}, "sentiment_model"),
        ({"sentiment_model": "rater"}, "aspect_model"),
        ({"model": "pair", "aspect_model": "finder", "sentiment_model": "rater"}, "model"),
        ({"model": 7}, "model"),
    ],
)
def test_missing_name_or_stage_is_told_by_its_parameter(client, parameters, field):
    """400 with the parameter that is missing, or that names a model without that stage."""
    response = client.ask(**parameters)
    assert (response.status_code, response.json()["type"]) == (400, "InvalidRequest")
    assert f"parameters.{field}" in response.json()["message"]


@pytest.mark.parametrize(
    "name", ["", "..", ".", "a/../pair", "./pair", "/pair", "a//b", "pair/", "a\\b", "a\0b", "x" * 1025]
)
def test_illegal_name_is_refused(client, name):
    """Whatever could lead out of the store, and what is too long, is the caller's mistake; so for a stage's name."""
    for parameters in ({"model": name}, {"aspect_model": name, "sentiment_model": "rater"}):
        response = client.ask(**parameters)
        assert (response.status_code, response.json()["type"]) == (400, "InvalidRequest")
        assert response.json()["message"].startswith(f"parameters.{next(iter(parameters))}: ")


def test_record_does_not_choose_for_itself(client):
    """A record that names another model than its request is refused in its place; the others are answered."""
    texts = [{"text": TEXT, "parameters": {"model": "finder"}}, TEXT]
    response = client.http.post("/invocations", json={"texts": texts, "parameters": {"model": "pair"}})
    refused, answered = response.json()["results"]
    assert "expected no model of its own" in refused["error"]["message"]
    assert answered["aspects"]


@pytest.mark.parametrize("mode", [{}, {"SAGEMAKER_MULTI_MODEL": "true"}], ids=["one model", "multi-model"])
def test_model_is_refused_without_a_store(start_server, tiny_models, server, mode):
    """There is nothing to choose from; the message names the variable. Target-Model means nothing then."""
    if not mode:
        response = httpx.post(f"{server.url}/invocations", json={"text": TEXT, "parameters": {"model": "a"}})
        named = httpx.post(f"{server.url}/invocations", json={"text": TEXT}, headers={TARGET_MODEL: "a.tar.gz"})
    else:
        with start_server(None, mode) as multi:
            httpx.post(f"{multi.url}/models", json={"model_name": "a", "url": str(tiny_models)}, timeout=60)
            invoke = f"{multi.url}/models/a/invoke"
            response = httpx.post(invoke, json={"text": TEXT, "parameters": {"model": "a"}})
            named = httpx.post(invoke, json={"text": TEXT}, headers={TARGET_MODEL: "a.tar.gz"})
    assert response.status_code == 400
    assert "parameters.model" in response.json()["message"]
    assert "ABSA_MODEL_STORE" in response.json()["message"]
    assert named.status_code == 200
    assert 'model;desc="' in named.headers["server-timing"]


def damaged(files: dict[str, bytes]) -> dict[str, bytes]:
    good = tar_gz_bytes(files)
    manifest = {"version": 1, "files": {"absa.json": {"size_bytes": 2, "sha256": "0" * 64}}}
    return {
        "empty": b"",
        "truncated": good[: len(good) // 2],
        "flipped": good[:5000] + bytes([good[5000] ^ 255]) + good[5001:],
        "gzip-of-text": gzip.compress(b"not a tar " * 1000),
        "zip": b"PK\x03\x04" + bytes(100),
        "text": b"hello",
        "bomb": tar_gz_bytes({"aspect/model.safetensors": bytes(100 << 20)}),
        "link": tar_gz_bytes(files, members=[member("aspect/vocab.txt", tarfile.SYMTYPE, linkname="/etc/passwd")]),
        "hard-link": tar_gz_bytes(files, members=[member("x", tarfile.LNKTYPE, linkname="absa.json")]),
        "device": tar_gz_bytes(files, members=[member("x", tarfile.CHRTYPE)]),
        "outside": tar_gz_bytes({"../x": b"x"}),
        "absolute": tar_gz_bytes({"/etc/x": b"x"}),
        "no-model": tar_gz_bytes({"readme.txt": b"x"}),
        "wrong-manifest": tar_gz_bytes({**files, "absa.json": b"{}", "manifest.json": json.dumps(manifest).encode()}),
        "no-weights": tar_gz_bytes({name: data for name, data in files.items() if "safetensors" not in name}),
        "cut-weights": tar_gz_bytes({name: data[: len(data) // 2] for name, data in files.items()}),
    }


def entries(cache: Path) -> list[dict[str, Any]]:
    return [json.loads(record.read_text()) for record in cache.glob("*/entries/*/entry.json")]


def test_damaged_artifact_is_its_owners_fault(client, store, files):
    """400 InvalidModel with what to repair, for each way to be broken; nothing of it stays, other models answer on."""
    client.ask(model="pair")
    for name, data in damaged(files).items():
        (store / f"{name}.tar.gz").write_bytes(data)
        response = client.ask(model=f"{name}.tar.gz")
        assert (response.status_code, response.json()["type"]) == (400, "InvalidModel"), (name, response.text)
        assert "Traceback" not in response.text
        assert len(response.json()["message"]) > 40, name
        assert client.ask(model="pair").status_code == 200
    # What arrived whole is kept until its room is needed: it need not be fetched again to be refused again.
    kept = {entry["key"].split("/")[-1].split(".tar")[0] for entry in entries(Path(cache_folder()))}
    assert kept & damaged(files).keys() == {"no-model", "no-weights", "cut-weights"}
    assert not list(Path(cache_folder()).glob("*/temporary/*"))
    assert client.metric("absa_models_leased") == 0


def test_linked_model_is_refused(client, store):
    """A link in the store leads anywhere: it is no model."""
    (store / "link").symlink_to(store / "pair")
    assert client.ask(model="link").json()["type"] == "InvalidModel"


def test_missing_model_may_come(client, store):
    """404 ModelNotFound while nothing lies there."""
    response = client.ask(model="absent.tar.gz")
    assert (response.status_code, response.json()["type"]) == (404, "ModelNotFound")


def test_replaced_model_is_swapped_in_between_requests(client, store, files):
    """Every request is answered, by the old version or the new one; when the new one is there, the old one leaves."""
    put(store / "swap.tar.gz", variant(files))
    assert has_scores(client.ask(model="swap.tar.gz"))
    replaced, loaded = client.metric("absa_store_replacements_total"), client.metric("absa_models_loaded")
    put(store / "swap.tar.gz", variant(files, output={"scores": False}))
    client.ask_until(lambda response: not has_scores(response), model="swap.tar.gz")
    assert client.metric("absa_store_replacements_total") == replaced + 1
    client.ask_until(lambda _: client.metric("absa_models_loaded") == loaded, model="swap.tar.gz")
    assert any(event["model"] == "swap.tar.gz" for event in client.server.events("model_replaced"))


def test_broken_new_version_leaves_the_old_one_serving(client, store, files):
    """It is refused once, logged and counted; a good one afterwards is swapped in."""
    put(store / "fragile.tar.gz", variant(files))
    assert has_scores(client.ask(model="fragile.tar.gz"))
    refused = client.metric("absa_store_refused_replacements_total")
    put(store / "fragile.tar.gz", b"broken")
    client.ask_until(
        lambda _: client.metric("absa_store_refused_replacements_total") == refused + 1, model="fragile.tar.gz"
    )
    (event,) = [one for one in client.server.events("model_replacement_failed") if one["model"] == "fragile.tar.gz"]
    assert "fragile.tar.gz" in event["reason"]
    put(store / "fragile.tar.gz", variant(files, output={"scores": False}))
    client.ask_until(lambda response: not has_scores(response), model="fragile.tar.gz")


def test_deleted_model_ends_after_its_ttl(client, store, files):
    """A model that its owner removes is missing soon after."""
    put(store / "gone.tar.gz", variant(files))
    assert client.ask(model="gone.tar.gz").status_code == 200
    (store / "gone.tar.gz").unlink()
    statuses = set()
    while 404 not in statuses:
        statuses.add(client.ask(model="gone.tar.gz").status_code)
    assert statuses <= {200, 404}


def test_caller_that_leaves_cancels_nothing_for_the_others(client, store, files):
    """One of two callers of a cold model closes its connection; the other is answered, by the one load."""
    put(store / "cold.tar.gz", variant(files))
    loads = client.metric("absa_models_loads_total")
    body = json.dumps({"text": TEXT, "parameters": {"model": "cold.tar.gz"}}).encode()
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", client.server.port), timeout=30) as leaving:
        leaving.sendall(head.encode() + body)
        answers: list[httpx.Response] = []
        staying = threading.Thread(target=lambda: answers.append(client.ask(model="cold.tar.gz")))
        staying.start()
    staying.join(60)
    assert answers[0].status_code == 200
    assert client.metric("absa_models_loads_total") == loads + 1
    while client.metric("absa_models_leased"):
        time.sleep(0.01)


def test_default_model_answers_and_makes_the_server_ready(start_server, store):
    """`/ping` is 200 once it can answer; it serves requests that name none, and lends its stages to the others."""
    more = {"ABSA_MODEL_STORE": str(store), "ABSA_DEFAULT_MODEL": "pair", "ABSA_RESULT_CACHE_MB": "1"}
    with start_server(None, more) as server:
        client = Client(server)
        assert client.metric("absa_models_loaded") == 1
        whole = client.ask()
        assert whole.json() == client.ask(model="pair").json()
        assert client.metric("absa_result_cache_hits_total") == 1
        assert client.ask(aspect_model="finder").json()["aspects"] == whole.json()["aspects"]
        assert client.ask(model="absent").status_code == 404
        client.http.close()


def test_default_model_that_fails_keeps_the_server_unready(start_server, store):
    """503 from `/ping`, its reason once in the log; models that are named answer all the same."""
    more = {"ABSA_MODEL_STORE": str(store), "ABSA_DEFAULT_MODEL": "nowhere.tar.gz"}
    with start_server(None, more, is_awaited=False) as server:
        server.wait_until_bound()
        client = Client(server)
        assert client.ask(model="pair").status_code == 200
        while not server.events("default_model_failed"):
            time.sleep(0.01)
        assert server.ping() == 503
        assert client.ask().status_code == 404
        client.http.close()


def padded(files: dict[str, bytes], padding: bytes) -> bytes:
    buffer = io.BytesIO(tar_gz_bytes(files | {"padding.bin": padding}))
    return buffer.getvalue()


def test_what_never_fits_is_a_shortage(start_server, store, files, tmp_path):
    """507, whether the bytes transferred, the bytes unpacked or the memory are too many; nothing is left on disk."""
    (store / "large.tar.gz").write_bytes(padded(files, random.Random(1).randbytes(3 << 20)))
    (store / "unpacks.tar.gz").write_bytes(padded(files, bytes(3 << 20)))
    for budget in ("ABSA_DISK_BUDGET_MB", "ABSA_MEMORY_BUDGET_MB"):
        cache = tmp_path / budget
        more = {"ABSA_MODEL_STORE": str(store), budget: "1", "ABSA_CACHE_DIR": str(cache)}
        with start_server(None, more) as server:
            client = Client(server)
            for name in ("large.tar.gz", "unpacks.tar.gz"):
                response = client.ask(model=name)
                assert (response.status_code, response.json()["type"]) == (507, "ResourcesExhausted"), response.text
                assert budget in response.json()["message"]
            assert client.metric("absa_models_waiting") == 0
            client.http.close()
        assert not list(cache.glob("*/temporary/*"))
        assert len(list(cache.glob("*/entries/*"))) == (0 if budget == "ABSA_DISK_BUDGET_MB" else 2)


def test_evicted_model_comes_back_from_disk(start_server, store, tiny_models, tmp_path):
    """Memory for two of three models: all are answered; cached files that somebody deleted are fetched again."""
    for name in "abc":
        shutil.copytree(tiny_models, store / f"evicted-{name}")
    cache = shutil.copytree(cache_folder(), tmp_path / "cache")  # the networks in it need not be made again
    more = {"ABSA_MODEL_STORE": str(store), "ABSA_MEMORY_BUDGET_MB": "1", "ABSA_CACHE_DIR": str(cache)}
    with start_server(None, more) as server:
        client = Client(server)
        answers = {client.ask(model=f"evicted-{name}").text for name in "abcabc"}
        assert len(answers) == 1
        assert client.metric("absa_models_evictions_total") >= 3
        assert (client.metric("absa_store_fetches_total"), client.metric("absa_store_disk_hits_total")) == (3, 3)
        assert (
            client.metric("absa_models_bytes") <= client.metric("absa_models_budget_bytes") == room_for_models(1 << 20)
        )
        (deleted,) = [one.parent for one in cache.glob("*/entries/*/entry.json") if "evicted-a#" in one.read_text()]
        shutil.rmtree(deleted / "content")
        assert client.ask(model="evicted-a").status_code == 200
        assert (client.metric("absa_store_fetches_total"), client.metric("absa_disk_cache_damaged_total")) == (4, 1)
        for _ in range(3):
            assert client.ask(aspect_model="evicted-b", sentiment_model="evicted-c").status_code == 200
            assert client.ask(model="evicted-a").status_code == 200
        client.http.close()


def test_cache_folder_that_cannot_be_written_stops_the_start(start_server, store, tmp_path):
    """Models of a store have to be kept somewhere: the server ends, and its log names the variable."""
    (tmp_path / "file").write_text("")
    more = {"ABSA_MODEL_STORE": str(store), "ABSA_CACHE_DIR": str(tmp_path / "file" / "cache")}
    with start_server(None, more, is_awaited=False) as server:
        assert server.wait_for_exit() == 3
        assert "ABSA_CACHE_DIR=" in server.log
