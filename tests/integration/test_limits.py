"""Both sides of every limit, against a real server process with small limits: status, and which variable is named."""

import json

import httpx
import pytest

MB = 1024 * 1024
LIMITS = {
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1",
    "ABSA_MAX_RECORDS": "3",
    "ABSA_MAX_TEXT_CHARS": "40",
    "ABSA_MAX_ASPECTS": "2",
}


@pytest.fixture(scope="module")
def small(start_server, tiny_models):
    """A server with small limits."""
    with start_server(tiny_models, LIMITS) as server:
        yield server


def post(server, content, content_type="application/json"):
    return httpx.post(f"{server.url}/invocations", content=content, headers={"content-type": content_type}, timeout=30)


def padded(size: int) -> bytes:
    """A legal request of exactly `size` bytes: JSON may be followed by white space."""
    request = json.dumps({"text": "food"}).encode()
    return request + b" " * (size - len(request))


@pytest.mark.parametrize("is_chunked", [False, True], ids=["content-length", "chunked"])
@pytest.mark.parametrize(("size", "status"), [(MB, 200), (MB + 1, 413), (3 * MB, 413), (20 * MB, 413)])
def test_body_bytes(small, is_chunked, size, status):
    """The limit is inclusive, and holds for chunked bodies; the client gets to read why."""
    content = padded(size)
    stream = (content[i : i + 65536] for i in range(0, size, 65536)) if is_chunked else content
    try:
        response = post(small, stream)
    except (httpx.WriteError, httpx.ReadError):
        assert size > 4 * MB, "a body far over the limit may be cut off, one near it is answered"
        return
    assert response.status_code == status
    if status == 413:
        assert "SAGEMAKER_MAX_PAYLOAD_IN_MB" in response.json()["message"]
        assert response.json()["type"] == "PayloadTooLarge"


@pytest.mark.parametrize(("count", "status"), [(3, 200), (4, 400)])
@pytest.mark.parametrize("kind", ["json", "lines", "csv"])
def test_records_a_request(small, kind, count, status):
    """As many records as the limit are answered; one more refuses the request."""
    bodies = {
        "json": (json.dumps({"texts": ["food"] * count}), "application/json"),
        "lines": ('"food"\n' * count, "application/jsonlines"),
        "csv": ("food\n" * count, "text/csv"),
    }
    content, content_type = bodies[kind]
    response = post(small, content.encode(), content_type)
    assert response.status_code == status
    assert status == 200 or "ABSA_MAX_RECORDS" in response.json()["message"]


@pytest.mark.parametrize(("length", "status"), [(40, 200), (41, 400)])
@pytest.mark.parametrize("letter", ["a", "é", "😀"])
def test_characters_a_text(small, letter, length, status):
    """The limit counts code points, whatever their bytes."""
    response = post(small, json.dumps({"text": letter * length}).encode())
    assert response.status_code == status
    assert status == 200 or "ABSA_MAX_TEXT_CHARS" in response.json()["message"]


def test_a_text_too_long_in_a_batch_is_an_error_in_its_place(small):
    """One long text does not spoil the others."""
    results = post(small, json.dumps({"texts": ["food", "a" * 41]}).encode()).json()["results"]
    assert "aspects" in results[0]
    assert "ABSA_MAX_TEXT_CHARS" in results[1]["error"]["message"]


@pytest.mark.parametrize(("count", "status"), [(2, 200), (3, 400)])
def test_aspects_a_text(small, count, status):
    """As many given aspects as the limit are rated; one more is refused."""
    response = post(small, json.dumps({"text": "food", "aspects": ["food"] * count}).encode())
    assert response.status_code == status
    assert status == 200 or "ABSA_MAX_ASPECTS" in response.json()["message"]


@pytest.mark.parametrize(("text", "status"), [("food food", 200), ("food food food", 400)])
def test_occurrences_of_given_aspects(small, text, status):
    """One given term counts as often as it occurs: the answer is as bounded as the question."""
    response = post(small, json.dumps({"text": text, "aspects": ["food"]}).encode())
    assert response.status_code == status
    assert status == 200 or "ABSA_MAX_ASPECTS" in response.json()["message"]
