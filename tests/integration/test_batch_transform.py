"""The server as batch transform starts it: no request is refused for what one of its lines holds."""

import json

import httpx
import pytest

TEXT = "The food was great."
JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
BROKEN = [
    b"",
    b"   ",
    b"{",
    b"nothing",
    b"[1, 2]",
    b"17",
    b"null",
    b'""',
    b'{"text": 7}',
    b'{"text": "a", "text2": "b"}',
    b'{"text": "a", "parameters": {"mode": "x"}}',
    b'{"text": "a", "aspects": [{"start": 5, "end": 2}]}',
    b'{"text": "\\ud800"}',
    b"\xff\xfe\x00",
    b"\x00",
    b"[" * 3000,
    b'{"text": "' + b"x" * 21_000 + b'"}',
]


@pytest.fixture(scope="module")
def batch(start_server, tiny_models):
    """A server in batch mode."""
    with start_server(tiny_models, {"SAGEMAKER_BATCH": "true"}) as server:
        yield server


def post(server, content, content_type, **headers):
    sent = {"content-type": content_type} | headers
    return httpx.post(f"{server.url}/invocations", content=content, headers=sent, timeout=120)


def test_every_line_has_its_line_whatever_it_holds(batch):
    """Good and broken lines in turn: as many lines out as in, errors exactly where a line is broken."""
    lines = [line for broken in BROKEN for line in (broken, json.dumps({"text": TEXT}).encode())]
    response = post(batch, b"\n".join(lines) + b"\n", LINES)
    assert response.status_code == 200
    answers = [json.loads(line) for line in response.content.splitlines()]
    assert ["error" in answer for answer in answers] == [True, False] * len(BROKEN)


@pytest.mark.parametrize("line", BROKEN)
@pytest.mark.parametrize("content_type", [JSON, LINES])
def test_broken_line_alone_is_answered_by_its_error(batch, line, content_type):
    """BatchStrategy=SingleRecord sends one record a request, without its line end; a refusal would fail the job."""
    response = post(batch, line, content_type)
    if content_type == JSON and line == b"[1, 2]":
        assert len(response.json()["results"]) == 2
        return
    assert response.status_code == 200
    assert response.json()["error"]["code"] == 400
    assert response.content.rstrip(b"\n").count(b"\n") == 0


@pytest.mark.parametrize("accept", [CSV, LINES])
def test_row_ends_with_its_line(batch, accept):
    """A quote that is never closed, a blank row and bytes that are no text cost one row each."""
    rows = [b'"%s"' % TEXT.encode(), b'"never closed, at all', b"", b"\xff", b'a"b"c', b'"a"b', b"the end"]
    response = post(batch, b"\n".join(rows) + b"\r\n", CSV, accept=accept)
    assert response.status_code == 200
    body = response.content
    assert len(body.splitlines()) == len(rows)
    assert [b"error" in line for line in body.splitlines()] == [False, True, True, True, False, True, False]


def test_records_of_a_request_are_not_counted(batch):
    """More than the limit of 1,000."""
    response = post(batch, b'{"text": "ok", "aspects": []}\n' * 3000, LINES)
    assert len(response.content.splitlines()) == 3000


def test_body_without_a_length_is_read(start_server, tiny_models):
    """MaxPayloadInMB=0: a whole object, in chunks, beyond every other limit."""
    line = b'{"text": "ok", "aspects": []}' + b" " * 20_000 + b"\n"
    with start_server(tiny_models, {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}) as server:
        response = post(server, (line for _ in range(1500)), LINES)
        parameters = httpx.get(f"{server.url}/execution-parameters").json()
    assert len(response.content.splitlines()) == 1500
    assert parameters["MaxPayloadInMB"] == 6


def test_fault_of_the_job_still_refuses(batch):
    """A type that is not read, or a parameter nobody knows, is no line's fault."""
    assert post(batch, b"x", "text/html").status_code == 415
    assert post(batch, b'"x"', LINES, **{"X-Amzn-SageMaker-Custom-Attributes": "mode=x"}).status_code == 400
