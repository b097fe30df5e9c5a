"""Streamed answers of the real server process, over real connections."""

import json
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.integration.test_results_bucket import environment, kept
from tests.integration.test_waiting import TEXTS, pending, wait_until

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
SHORT = ["The food was great, but the service was slow.", "Never again.", "Bad staff."]
ASK = {"X-Amzn-SageMaker-Custom-Attributes": "stream=true"}
# Lines of 20,000 characters that no model has to see: larger than all buffers between two processes.
LARGE = [{"id": n, "text": "x" * 20_000, "aspects": []} for n in range(600)]


def post(server, content, content_type, **headers):
    sent = {"content-type": content_type} | headers
    return httpx.post(f"{server.url}/invocations", content=content, headers=sent, timeout=60, trust_env=False)


def connect(server, body: object) -> socket.socket:
    """A connection on which a request for a stream has been sent; little of the answer fits into it unread."""
    content = json.dumps(body).encode()
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    head = f"POST /invocations HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {JSON}\r\n"
    connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    return connection


def read_until(connection: socket.socket, what: bytes) -> bytes:
    seen = b""
    while what not in seen:
        more = connection.recv(65536)
        assert more, f"the connection ended without {what!r}"
        seen += more
    return seen


def unchunked(body: bytes) -> bytes:
    """The content of a chunked body that is whole: its last chunk is there."""
    content, rest = b"", body
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            assert rest == b"\r\n"
            return content
        content, rest = content + rest[:length], rest[length + 2 :]


BODIES = {
    "one text": ({"text": SHORT[0], "id": 7}, JSON),
    "list": ({"texts": [*SHORT, ""]}, JSON),
    "lines": ("\n".join([*map(json.dumps, SHORT), "{broken", ""]), LINES),
    "csv": ('text,id\n"a, great food",1\nbad staff,2\n', CSV),
    "plain text": (SHORT[0], "text/plain"),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_stream_has_the_lines_of_the_whole_answer(server, body):
    """The same lines as without streaming; chunked instead of with a length, which every other answer has."""
    content, content_type = body
    content = content if isinstance(content, str) else json.dumps(content)
    whole = post(server, content, content_type, accept=LINES)
    stream = post(server, content, content_type, **ASK)
    assert (stream.status_code, stream.headers["content-type"]) == (200, LINES)
    assert list(map(json.loads, stream.text.splitlines())) == list(map(json.loads, whole.text.splitlines()))
    assert stream.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in stream.headers
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert stream.headers["x-amzn-sagemaker-custom-attributes"] == "stream=true"
    assert sum(len(name) + len(value) + 4 for name, value in stream.headers.items()) < 4096


def test_slow_reader_gets_every_line_and_harms_nobody(server):
    """While one reads nothing of megabytes, others are answered; then it reads all, in order."""
    connection = connect(server, {"inputs": LARGE, "parameters": {"stream": True, "return_text": True}})
    read_until(connection, b'"id":0,')
    assert pending(server) == 1
    assert post(server, json.dumps({"text": SHORT[0]}), JSON).status_code == 200
    rest = b""
    while more := connection.recv(1 << 20):
        rest += more
    connection.close()
    wait_until(lambda: pending(server) == 0)
    assert rest.endswith(b"0\r\n\r\n")


def test_every_line_of_a_large_stream_comes_in_order(server):
    """Whole lines, none lost between the chunks."""
    body = {"inputs": LARGE, "parameters": {"stream": True, "return_text": True}}
    lines = post(server, json.dumps(body), JSON).text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(range(600))


def test_client_that_leaves_a_stream_ends_its_work(start_server, tiny_models):
    """Its place is free long before its texts would have been analysed."""
    with start_server(tiny_models) as server:
        connection = connect(server, {"inputs": TEXTS * 3, "parameters": {"stream": True}})
        read_until(connection, b'"aspects"')
        connection.close()
        wait_until(lambda: pending(server) == 0)
        wait_until(lambda: any(event["status"] == 499 for event in server.events("request")))
        lines = httpx.get(f"{server.url}/metrics").text.splitlines()
        assert next(float(line.split()[1]) for line in lines if line.startswith("absa_texts_total{")) < len(TEXTS) * 3


def test_stream_is_finished_after_sigterm(start_server, tiny_models):
    """A stream that has begun is read to its end, and the server ends with 0."""
    with start_server(tiny_models) as server:
        connection = connect(server, {"inputs": LARGE, "parameters": {"stream": True, "return_text": True}})
        seen = read_until(connection, b'"id":0,')
        server.send_signal(signal.SIGTERM)
        while more := connection.recv(1 << 20):
            seen += more
        connection.close()
        assert server.wait_for_exit() == 0
    lines = unchunked(seen.partition(b"\r\n\r\n")[2]).splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(range(600))


def test_model_of_a_multi_model_endpoint_is_held_until_its_stream_ends(start_server, tiny_models):
    """An unload refuses new calls at once, and frees the model when the stream has ended."""
    body = {"inputs": LARGE, "parameters": {"stream": True, "return_text": True}}
    with (
        start_server(None, {"SAGEMAKER_MULTI_MODEL": "true"}) as server,
        httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client,
        ThreadPoolExecutor(1) as beside,
    ):
        assert client.post("/models", json={"model_name": "m", "url": str(tiny_models)}).status_code == 200
        with client.stream("POST", "/models/m/invoke", json=body) as stream:
            lines = stream.iter_lines()
            first = next(lines)
            unload = beside.submit(httpx.delete, f"{server.url}/models/m", timeout=60)
            wait_until(lambda: client.get("/models/m").status_code == 404)
            assert not unload.done()
            rest = list(lines)
        assert [json.loads(line)["id"] for line in [first, *rest]] == list(range(600))
        assert unload.result().status_code == 200


def test_every_streamed_line_is_kept(start_server, tiny_models, tmp_path, s3, bucket):
    """Each under its request's id and its own number."""
    with start_server(tiny_models, environment(bucket, tmp_path)) as server:
        stream = post(server, json.dumps({"texts": [*SHORT, ""]}), JSON, **ASK)
    lines = [line for line in kept(s3, bucket) if line["request_id"] == stream.headers["x-request-id"]]
    answers = [json.loads(line) for line in stream.text.splitlines()]
    assert [line["record"] for line in lines] == [0, 1, 2, 3]
    assert [line.get("aspects") for line in lines] == [answer.get("aspects") for answer in answers]
    assert lines[3]["error"]["code"] == 400


def test_full_spool_ends_a_stream_where_results_are_required(start_server, tiny_models, tmp_path):
    """Before the first line it is a refusal; after it, the records that could not be kept have the error instead."""
    there = {"ABSA_RESULTS_S3_URI": "s3://absent-bucket/x", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    there |= {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    there |= {"ABSA_RESULTS_SPOOL_DIR": str(tmp_path), "ABSA_RESULTS_SPOOL_MB": "1", "ABSA_RESULTS_REQUIRED": "true"}
    with start_server(tiny_models, there | {"ABSA_RESULTS_INPUT": "text"}) as server:
        lines = post(server, json.dumps({"inputs": LARGE[:100]}), JSON, **ASK).text.splitlines()
        errors = [json.loads(line).get("error", {}).get("type") for line in lines]
        first = errors.index("ResultsUnavailable")
        assert 0 < first < 60
        assert errors == [None] * first + ["ResultsUnavailable"] * (100 - first)
        refused = post(server, json.dumps({"inputs": LARGE[:1]}), JSON, **ASK)
        assert (refused.status_code, refused.json()["type"]) == (503, "ResultsUnavailable")
        server.kill()  # its end would wait for S3
        server.wait_for_exit()
