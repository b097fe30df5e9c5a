"""Every input type with every output type, against the real server process: status, Content-Type, body."""

import csv
import io
import json

import httpx
import pytest

TEXT = "The food was great, but the service was slow."
OTHER = "Nothing to say."

JSON, LINES, NDJSON, CSV = "application/json", "application/jsonlines", "application/x-ndjson", "text/csv"


def body(value) -> bytes:
    return json.dumps(value).encode()


# name: (Content-Type, body, shape of the answer, number of texts)
INPUTS = {
    "text": (JSON, body({"text": TEXT}), "single", 1),
    "string": (JSON, body(TEXT), "single", 1),
    "inputs-string": (JSON, body({"inputs": TEXT}), "single", 1),
    "inputs-record": (JSON, body({"inputs": {"text": TEXT}}), "single", 1),
    "charset": ("application/json; charset=utf-8", body({"text": TEXT}), "single", 1),
    "no-content-type": (None, body({"text": TEXT}), "single", 1),
    "plain": ("text/plain", TEXT.encode(), "single", 1),
    "texts": (JSON, body({"texts": [TEXT, OTHER]}), "list", 2),
    "texts-of-one": (JSON, body({"texts": [TEXT]}), "list", 1),
    "texts-of-none": (JSON, body({"texts": []}), "list", 0),
    "list": (JSON, body([TEXT, OTHER]), "list", 2),
    "inputs-list": (JSON, body({"inputs": [TEXT, OTHER], "parameters": {}}), "list", 2),
    "inputs-records": (JSON, body({"inputs": [{"text": TEXT}, {"text": OTHER}]}), "list", 2),
    "instances": (JSON, body({"instances": [{"text": TEXT}, OTHER]}), "list", 2),
    "results": (JSON, body({"results": [{"text": TEXT}, {"text": OTHER}]}), "list", 2),
    "jsonlines": (LINES, body({"text": TEXT}) + b"\n" + body(OTHER) + b"\n", "lines", 2),
    "jsonlines-of-one": (LINES, body({"text": TEXT}), "lines", 1),
    "ndjson": (NDJSON, body({"text": TEXT}) + b"\r\n" + body({"text": OTHER}), "lines", 2),
    "csv": (CSV, f'"{TEXT}"\n{OTHER}\n'.encode(), "list", 2),
    "csv-first-row-header": (CSV, f'text\n"{TEXT}"\n{OTHER}\n'.encode(), "list", 2),
    "csv-header-present": ("text/csv; header=present", f'inputs\n"{TEXT}"\n{OTHER}\n'.encode(), "list", 2),
}


@pytest.fixture(scope="module")
def expected(server):
    """The answers to both texts, asked for alone."""
    return [httpx.post(f"{server.url}/invocations", json={"text": text}).json() for text in (TEXT, OTHER)]


def post(server, content, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    return httpx.post(f"{server.url}/invocations", content=content, headers=named, timeout=30)


def answers(shape: str, media_type: str, content: bytes) -> list[object]:
    """What an answer of a shape and a type holds, text by text."""
    if media_type == CSV:
        return [json.loads(row[-1]) for row in csv.reader(io.StringIO(content.decode()))]
    if media_type in (LINES, NDJSON):
        assert not content or content.endswith(b"\n")
        return [json.loads(line) for line in content.splitlines()]
    value = json.loads(content)
    return [value] if shape == "single" else value["results"]


@pytest.mark.parametrize("accept", [None, "*/*", JSON, LINES, NDJSON, CSV])
@pytest.mark.parametrize("name", INPUTS)
def test_every_input_type_is_answered_in_every_output_type(server, expected, name, accept):
    """200, the type asked for (lines for lines, else JSON, by default), and the answers that each text alone gets."""
    content_type, content, shape, count = INPUTS[name]
    response = post(server, content, content_type=content_type, accept=accept)
    default = LINES if shape == "lines" else JSON
    media_type = default if accept in (None, "*/*") else accept
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].split(";")[0] == media_type
    assert int(response.headers["content-length"]) == len(response.content)
    wanted = [one["aspects"] for one in expected] if media_type == CSV else expected
    assert answers(shape, media_type, response.content) == wanted[:count]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("text/html, application/json;q=0.5", JSON),
        ("application/json;q=0.1, text/csv;q=0.9", CSV),
        ("application/*", JSON),
        ("text/*;q=0.9", CSV),
        ("text/html, */*;q=0.1", JSON),
        ("APPLICATION/JSONLINES", LINES),
        ("", JSON),
    ],
)
def test_accept_lists_and_weights_are_obeyed(server, accept, media_type):
    """Accept as RFC 9110 has it: lists, q-values, ranges, any case."""
    response = post(server, body({"text": TEXT}), content_type=JSON, accept=accept)
    assert (response.status_code, response.headers["content-type"].split(";")[0]) == (200, media_type)


def test_ids_stand_in_every_output_type(server):
    """An id comes back as it was sent; in CSV it is the first column."""
    content = body({"inputs": [{"id": "a-1", "text": TEXT}, {"id": 7, "text": OTHER}]})
    as_json = post(server, content, content_type=JSON).json()["results"]
    as_csv = list(csv.reader(io.StringIO(post(server, content, content_type=JSON, accept=CSV).text)))
    assert [one["id"] for one in as_json] == ["a-1", 7]
    assert [row[0] for row in as_csv] == ["a-1", "7"]


@pytest.mark.parametrize("accept", [JSON, LINES, CSV])
@pytest.mark.parametrize("name", ["inputs", "jsonlines", "csv"])
def test_one_bad_record_leaves_the_others_answered(server, expected, name, accept):
    """In a batch the bad record's error stands in its place; the others are answered; the status is 200."""
    bad = {
        "inputs": (JSON, body({"inputs": [TEXT, {"text": 5}, OTHER]})),
        "jsonlines": (LINES, body(TEXT) + b'\n{"text": \n' + body(OTHER)),
        "csv": (CSV, f'"{TEXT}"\n"  "\n{OTHER}\n'.encode()),
    }
    content_type, content = bad[name]
    response = post(server, content, content_type=content_type, accept=accept)
    first, error, last = answers("list", accept, response.content)
    assert response.status_code == 200
    assert [first, last] == ([one["aspects"] for one in expected] if accept == CSV else expected)
    assert set(error["error"]) == {"code", "type", "message"}
    assert error["error"]["code"] == 400


def test_own_answers_are_legal_input(server, expected):
    """An answer with its text, sent back as `results`, is rated again to the same answer."""
    content = body({"inputs": [TEXT, OTHER], "parameters": {"return_text": True}})
    first = post(server, content, content_type=JSON)
    again = post(server, first.content, content_type=first.headers["content-type"])
    assert again.status_code == 200
    assert again.json()["results"] == expected


def test_parameters_travel_in_the_header_for_bodies_without_a_place(server):
    """`mode=aspects;return_text=true` in Custom-Attributes does what `parameters` does in JSON."""
    attributes = "mode=aspects; return_text=true"
    lines = post(server, TEXT.encode(), content_type="text/plain", x_amzn_sagemaker_custom_attributes=attributes)
    wanted = post(
        server, body({"text": TEXT, "parameters": {"mode": "aspects", "return_text": True}}), content_type=JSON
    )
    assert lines.status_code == 200
    assert lines.json() == wanted.json()
    assert lines.json()["text"] == TEXT


def test_given_aspects_come_back_where_they_stand(server):
    """A term is found at each whole word; one that does not occur is rated on the whole text, without offsets."""
    content = body(
        {"text": "Food, food! Seafood.", "aspects": ["food", "price", {"start": 12, "end": 19, "term": "fish"}]}
    )
    aspects = post(server, content, content_type=JSON).json()["aspects"]
    assert [(one["term"], one["start"], one["end"]) for one in aspects] == [
        ("food", 6, 10),
        ("price", None, None),
        ("fish", 12, 19),
    ]
    assert all(one["polarity"] for one in aspects)


def test_execution_parameters_are_what_batch_transform_reads(server):
    """The three keys of the contract, and no more than 100 MB in flight together."""
    response = httpx.get(f"{server.url}/execution-parameters")
    values = response.json()
    assert response.headers["content-type"] == JSON
    assert set(values) == {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"}
    assert values["BatchStrategy"] == "MULTI_RECORD"
    assert values["MaxConcurrentTransforms"] * values["MaxPayloadInMB"] <= 100


def test_metrics_count_texts_and_aspects(server):
    """`GET /metrics` is in Prometheus' format and counts what was answered."""

    def read() -> dict[str, float]:
        lines = httpx.get(f"{server.url}/metrics").text.splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    before = read()
    post(server, body({"texts": [TEXT, OTHER, 5]}), content_type=JSON)
    after = read()
    for name, count in (("absa_texts_total", 2), ("absa_record_errors_total", 1), ("absa_answers_total", 1)):
        series = f'{name}{{model="model"}}'
        assert after[series] - before.get(series, 0) == count
    assert after["absa_model_ready"] == 1
    assert after["absa_model_resident_bytes"] > 0


def test_headers_of_an_answer_stay_below_the_platforms_bound(server):
    """The longest that a caller may send are echoed whole: 1,024 characters of attributes, an id of 64."""
    attributes, inference_id = "x" * 1024, "i" * 64
    headers = {"X-Amzn-SageMaker-Custom-Attributes": attributes, "X-Amzn-SageMaker-Inference-Id": inference_id}
    response = httpx.post(f"{server.url}/invocations", json={"text": "Great food."}, headers=headers)
    assert response.headers["x-amzn-sagemaker-custom-attributes"] == attributes
    assert response.headers["x-request-id"] == inference_id
    assert int(response.headers["content-length"]) == len(response.content)
    assert sum(len(name) + len(value) + 4 for name, value in response.headers.items()) < 4096
