"""The server as batch transform starts it: no request is refused for what one of its lines holds."""

import json
from pathlib import Path

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


@pytest.fixture(scope="module")
def endless(start_server, tiny_models):
    """A server of a job with MaxPayloadInMB=0, which takes whole objects in chunks."""
    with start_server(tiny_models, {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}) as server:
        yield server


def resident_bytes(server):
    """Of all processes of the server."""
    children = [server.pid]
    for pid in children:
        children += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 for pid in children)


def test_endless_body_takes_no_memory_of_its_size(endless):
    """120 MB of lines, all sent before any of the answer is read: a line for each, in order; memory stays as it was."""
    filler = b" " * 60_000
    before, most = resident_bytes(endless), 0

    def lines():
        nonlocal most
        for number in range(2000):
            if number % 100 == 0:
                most = max(most, resident_bytes(endless))
            yield b'{"text": "ok", "aspects": [], "id": %d}%s\n' % (number, filler)

    response = post(endless, lines(), LINES)
    assert [json.loads(line)["id"] for line in response.content.splitlines()] == list(range(2000))
    assert response.headers["transfer-encoding"] == "chunked"
    assert most - before < 40 << 20


@pytest.mark.parametrize(("content_type", "accept"), [(LINES, LINES), (LINES, CSV), (CSV, LINES), (CSV, CSV)])
def test_endless_body_is_answered_as_one_of_known_length(endless, batch, content_type, accept):
    """The same bytes, broken lines and all."""
    good = [TEXT.encode()] if content_type == CSV else [json.dumps({"text": TEXT, "id": 7}).encode()]
    body = b"\n".join(line for broken in BROKEN for line in (*good, broken)) + b"\n"
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    answer = post(endless, pieces, content_type, accept=accept)
    assert answer.content == post(batch, body, content_type, accept=accept).content
    assert answer.content.count(b"\n") == len(BROKEN) * 2


def test_body_without_a_length_that_is_no_lines_is_read_whole(endless):
    """One JSON document is one answer."""
    answer = post(endless, iter([b'{"texts": ["Great ', b'food."]}']), JSON)
    assert len(answer.json()["results"]) == 1
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("accept", [None, JSON, CSV, LINES])
@pytest.mark.parametrize("content_type", [JSON, LINES, CSV])
def test_every_line_has_a_line_in_whatever_type(batch, content_type, accept):
    """A job joins by lines, also where its types say JSON, and without an Accept."""
    line = "Great food" if content_type == CSV else json.dumps({"text": TEXT})
    headers = {} if accept is None else {"accept": accept}
    answer = post(batch, f"{line}\n{line}\n{line}\n", content_type, **headers)
    assert answer.status_code == 200
    assert len(answer.content.splitlines()) == 3


def test_fault_of_the_job_still_refuses(batch):
    """A type that is not read, or a parameter nobody knows, is no line's fault."""
    assert post(batch, b"x", "text/html").status_code == 415
    assert post(batch, b'"x"', LINES, **{"X-Amzn-SageMaker-Custom-Attributes": "mode=x"}).status_code == 400
