"""Bad input, against the real server process: a 4xx that names the field, or a sensible answer, never a 500."""

import json
import socket

import httpx
import pytest

JSON = "application/json"
ERROR_KEYS = {"code", "type", "message", "request_id"}


def invoke(server, content, content_type=JSON, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        named["content-type"] = content_type
    return httpx.post(f"{server.url}/invocations", content=content, headers=named, timeout=30)


def body(value) -> bytes:
    return json.dumps(value).encode()


# name: (body, Content-Type, status, what the message must tell)
BAD = {
    "malformed": (b'{"text": "a', JSON, 400, "body"),
    "two-documents": (b'{"text": "a"} {"text": "b"}', JSON, 400, "body"),
    "not-utf-8": (b'{"text": "caf\xe9"}', JSON, 400, "body"),
    "deep-nesting": (b"[" * 100_000, JSON, 400, "body"),
    "number": (b"5", JSON, 400, "body: expected"),
    "null": (b"null", JSON, 400, "body: expected"),
    "empty-object": (b"{}", JSON, 400, "expected"),
    "empty-body": (b"", JSON, 400, "empty"),
    "empty-body-lines": (b"", "application/jsonlines", 400, "empty"),
    "empty-body-csv": (b"", "text/csv", 400, "empty"),
    "empty-body-plain": (b"", "text/plain", 400, "empty"),
    "text-number": (body({"text": 5}), JSON, 400, "text: expected"),
    "text-list": (body({"text": ["a"]}), JSON, 400, "text: expected"),
    "text-null": (body({"text": None}), JSON, 400, "text"),
    "text-empty": (body({"text": ""}), JSON, 400, "text"),
    "text-white": (body({"text": " \t\n\u3000"}), JSON, 400, "text"),
    "text-1-mb": (body({"text": "word " * 200_000}), JSON, 400, "ABSA_MAX_TEXT_CHARS"),
    "text-emoji": (body({"text": "😀" * 100_000}), JSON, 400, "ABSA_MAX_TEXT_CHARS"),
    "text-surrogate": (b'{"text": "a \\ud800 b"}', JSON, 400, "surrogate"),
    "plain-not-utf-8": (b"caf\xe9", "text/plain", 400, "UTF-8"),
    "two-containers": (body({"text": "a", "texts": ["a"]}), JSON, 400, "only one of"),
    "texts-string": (body({"texts": "a"}), JSON, 400, "texts: expected a list"),
    "unknown-field": (body({"text": "a", "aspect": ["a"]}), JSON, 400, "aspects"),
    "unknown-parameter": (body({"text": "a", "parameters": {"min_scores": 1}}), JSON, 400, "min_score"),
    "parameter-type": (body({"text": "a", "parameters": {"min_score": "much"}}), JSON, 400, "min_score"),
    "parameter-range": (body({"text": "a", "parameters": {"min_score": 1.01}}), JSON, 400, "min_score"),
    "parameter-mode": (body({"text": "a", "parameters": {"mode": "all"}}), JSON, 400, "mode"),
    "parameters-list": (body({"text": "a", "parameters": []}), JSON, 400, "parameters"),
    "mode-without-aspects": (body({"text": "a", "parameters": {"mode": "sentiment"}}), JSON, 400, "aspects"),
    "aspects-string": (body({"text": "a", "aspects": "a"}), JSON, 400, "aspects"),
    "aspect-number": (body({"text": "a", "aspects": [5]}), JSON, 400, "aspects[0]"),
    "aspect-empty": (body({"text": "a", "aspects": [""]}), JSON, 400, "aspects[0]"),
    "aspect-past-end": (body({"text": "food", "aspects": [{"start": 0, "end": 5}]}), JSON, 400, "aspects[0]"),
    "aspect-negative": (body({"text": "food", "aspects": [{"start": -1, "end": 2}]}), JSON, 400, "aspects[0].start"),
    "aspect-backwards": (body({"text": "food", "aspects": [{"start": 3, "end": 2}]}), JSON, 400, "aspects[0]"),
    "aspect-nothing": (body({"text": "food", "aspects": [{"start": 2, "end": 2}]}), JSON, 400, "aspects[0]"),
    "aspect-half": (body({"text": "food", "aspects": [{"start": 2}]}), JSON, 400, "aspects[0]"),
    "aspect-float": (body({"text": "food", "aspects": [{"start": 0.0, "end": 2}]}), JSON, 400, "aspects[0].start"),
    "aspect-inside-pair": (
        body({"text": "😀 food", "aspects": [{"start": 1, "end": 3}], "parameters": {"offsets": "utf16"}}),
        JSON,
        400,
        "aspects[0].start",
    ),
    "id-list": (body({"id": [], "text": "a"}), JSON, 400, "id"),
    "content-type-xml": (b"<a/>", "application/xml", 415, "Content-Type"),
    "content-type-form": (b"text=a", "application/x-www-form-urlencoded", 415, "Content-Type"),
    "content-type-bytes": (b"a", "application/octet-stream", 415, "Content-Type"),
    "content-type-charset": ("é".encode("latin-1"), "text/plain; charset=iso-8859-1", 415, "charset"),
    "csv-unclosed-quote": (b'"food', "text/csv", 400, "row"),
    "csv-missing-column": (b"id,name\n1,a\n", "text/csv; header=present", 400, "text"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_body_is_a_4xx_that_names_its_fault(server, name):
    """Status, the one error body, and a message that names the field or the limit."""
    content, content_type, status, told = BAD[name]
    response = invoke(server, content, content_type)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == JSON
    error = response.json()
    assert set(error) == ERROR_KEYS
    assert error["code"] == status
    assert told in error["message"]
    assert error["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text


LEGAL = {
    "nul": {"text": "the food\x00 was fine"},
    "line-breaks": {"text": "\r\n the food\u2028was\x0bfine \n"},
    "emoji-20000": {"text": "😀" * 20_000},
    "one-long-word": {"text": "a" * 20_000},
    "combining": {"text": "e" + "\u0301" * 5_000},
    "right-to-left": {"text": "\u202ethe food was fine\u202c الطعام لذيذ"},
    "special-tokens": {"text": "[CLS] the [SEP] food [MASK] </s> <pad>"},
    "no-aspects": {"text": "food", "aspects": []},
    "null-aspects": {"text": "food", "aspects": None},
    "null-id": {"id": None, "text": "food"},
    "unknown-characters": {"text": "\ufffd\u0378 \U0010ffff"},
}


@pytest.mark.parametrize("name", LEGAL)
def test_strange_but_legal_text_is_answered(server, name):
    """A 200 whose terms are slices of the text."""
    response = invoke(server, body(LEGAL[name]))
    assert response.status_code == 200, response.text
    text = LEGAL[name]["text"]
    for aspect in response.json()["aspects"]:
        assert text[aspect["start"] : aspect["end"]] == aspect["term"] != ""


def test_missing_content_type_is_read_as_json(server):
    """SageMaker may pass no Content-Type on: then the body is JSON."""
    response = invoke(server, body({"text": "food"}), content_type=None)
    assert response.status_code == 200
    assert invoke(server, b"food", content_type=None).status_code == 400


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*", "application/xml, text/html"])
def test_unacceptable_answer_type_is_406(server, accept):
    """An Accept that allows nothing we write is refused before any work, naming what there is."""
    response = invoke(server, body({"text": "food"}), accept=accept)
    assert response.status_code == 406
    assert set(response.json()) == ERROR_KEYS
    assert "application/json" in response.json()["message"]


@pytest.mark.parametrize("attributes", ["mode=all", "min_score=2", "modus=chain", "offsets=bytes"])
def test_bad_custom_attributes_are_refused_by_name(server, attributes):
    """Parameters in the header are held to the same rules."""
    response = invoke(server, b"food", "text/plain", x_amzn_sagemaker_custom_attributes=attributes)
    assert response.status_code == 400
    assert attributes.split("=")[0] in response.json()["message"]


def test_opaque_custom_attributes_are_left_alone(server):
    """A trace id in Custom-Attributes is not ours to refuse, nor is anything in it when the body is JSON."""
    assert invoke(server, b"food", "text/plain", x_amzn_sagemaker_custom_attributes="c000b4f9-df62").status_code == 200
    answer = invoke(server, body({"text": "food"}), x_amzn_sagemaker_custom_attributes="trace=1;modus=x")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/invocations", 405),
        ("PUT", "/invocations", 405),
        ("DELETE", "/ping", 405),
        ("POST", "/ping", 405),
        ("POST", "/metrics", 405),
        ("GET", "/", 404),
        ("GET", "/ping/extra", 404),
        ("POST", "/Invocations", 404),
        ("GET", "/docs", 404),
    ],
)
def test_wrong_method_or_path_has_the_error_body(server, method, path, status):
    """The framework's own 404 and 405 take the same form; 405 says what is allowed."""
    response = httpx.request(method, f"{server.url}{path}")
    assert response.status_code == status
    assert set(response.json()) == ERROR_KEYS
    assert "detail" not in response.json()
    assert ("allow" in response.headers) == (status == 405)


def test_compressed_body_is_refused(server):
    """A Content-Encoding that nobody undoes is named, not parsed."""
    response = invoke(server, b"\x1f\x8b", content_encoding="gzip")
    assert response.status_code == 415
    assert "Content-Encoding" in response.json()["message"]


def test_ping_has_an_empty_body(server):
    """The contract asks for 200 and nothing else."""
    response = httpx.get(f"{server.url}/ping")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize(
    "junk", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"POST /invocations HTTP/1.1\r\nContent-Length: x\r\n\r\n"]
)
def test_junk_on_the_wire_does_not_stop_the_server(server, junk):
    """What is no HTTP is closed or refused; the next request is answered."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(junk)
        connection.shutdown(socket.SHUT_WR)
        first_line = connection.recv(4096).split(b"\r\n")[0]
    assert first_line == b"" or b" 400 " in first_line + b" "
    assert httpx.get(f"{server.url}/ping").status_code == 200
