"""Two containers of this image in a row: what the aspect container answers is what the sentiment container takes."""

import json

import httpx
import pytest

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
TEXTS = ["The food was great, but the service was slow.", "Never again.", "The café's menu 😀 was great; bad staff."]
SCORES = {"score", "polarity_score", "scores"}


@pytest.fixture(scope="module")
def containers(start_server, tiny_models):
    """An aspect-only server, a sentiment-only server, and one that holds both models."""
    with (
        start_server(tiny_models / "aspect") as aspect,
        start_server(tiny_models / "sentiment") as sentiment,
        start_server(tiny_models) as both,
    ):
        yield aspect, sentiment, both


def post(server, content, content_type, accept=None, **headers):
    client = httpx.Client(trust_env=False)
    client.headers.clear()
    sent = {"content-type": content_type} | ({} if accept is None else {"accept": accept}) | headers
    with client:
        return client.post(f"{server.url}/invocations", content=content, headers=sent, timeout=60)


def chained(containers, content, content_type, *, middle=None, accept=None, **headers):
    """The pipeline's answer: the second request is the first answer, under its own Content-Type."""
    first = post(containers[0], content, content_type, middle, **headers)
    assert first.status_code == 200, first.text
    return post(containers[1], first.content, first.headers["content-type"], accept, **headers)


def without_scores(value):
    if isinstance(value, list):
        return [without_scores(one) for one in value]
    if isinstance(value, dict):
        return {name: without_scores(one) for name, one in value.items() if name not in SCORES}
    return value


def rows(response):
    """Every result of an answer, whatever its type."""
    if response.headers["content-type"].startswith(LINES):
        return [json.loads(line) for line in response.content.splitlines()]
    found = response.json()
    return found.get("results", [found])


PARAMETERS = [
    {},
    {"return_text": True},
    {"return_text": False},
    {"offsets": "utf16"},
    {"min_score": 0.9},
    {"min_score": 0.5, "offsets": "utf16", "return_text": True},
    {"mode": "chain"},
]
BODIES = {
    "one text": lambda given: (json.dumps({"text": TEXTS[0], "parameters": given}), JSON),
    "one text with an id": lambda given: (json.dumps({"id": "r", "text": TEXTS[2], "parameters": given}), JSON),
    "a list": lambda given: (json.dumps({"texts": TEXTS, "parameters": given}), JSON),
    "a list with errors": lambda given: (
        json.dumps({"inputs": [TEXTS[0], {"id": 7, "text": 1}], "parameters": given}),
        JSON,
    ),
    "own parameters": lambda given: (json.dumps({"inputs": [{"text": TEXTS[2], "parameters": given}, TEXTS[0]]}), JSON),
    "lines": lambda given: (
        "\n".join(json.dumps({"id": n, "text": text, "parameters": given}) for n, text in enumerate(TEXTS)),
        LINES,
    ),
    "lines with errors": lambda given: (json.dumps({"text": TEXTS[0], "parameters": given}) + "\n{broken\n\n", LINES),
}


@pytest.mark.parametrize("parameters", PARAMETERS, ids=json.dumps)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("middle", [None, "*/*"])
def test_pipeline_answers_as_one_container_does(containers, body, parameters, middle):
    """The same results, text and shape as the chain of one container; the second obeys the parameters, too."""
    content, content_type = body(parameters)
    answer, single = (
        chained(containers, content, content_type, middle=middle),
        post(containers[2], content, content_type),
    )
    assert answer.status_code == single.status_code == 200
    assert answer.headers["content-type"] == single.headers["content-type"]
    got, expected = (
        answer.json() if content_type == JSON else rows(answer),
        single.json() if content_type == JSON else rows(single),
    )
    assert without_scores(got) == without_scores(expected)
    for one, other in zip(rows(answer), rows(single), strict=True):
        for mine, its in zip(one.get("aspects", ()), other.get("aspects", ()), strict=True):
            assert mine["score"] == pytest.approx(its["score"], abs=2e-4)
            assert mine["scores"] == pytest.approx(its["scores"], abs=2e-4)


@pytest.mark.parametrize("written", ["{}; charset=utf-8", "{};charset=UTF-8", "{} ; version=1"])
@pytest.mark.parametrize("content_type", [JSON, LINES])
def test_content_type_of_a_hop_may_have_parameters_and_any_case(containers, written, content_type):
    """An upstream container may write its type as it likes."""
    first = post(containers[0], json.dumps({"text": TEXTS[0]}), content_type)
    for name in (content_type, content_type.upper()):
        assert post(containers[1], first.content, written.format(name)).status_code == 200


@pytest.mark.parametrize("attributes", ["min_score=0.9;offsets=utf16", "return_text=true", "trace-17"])
def test_custom_attributes_may_reach_one_container_or_both(containers, attributes):
    """Whether the platform passes them on is not documented: for lines both give the answer of one container."""
    content, headers = "\n".join(map(json.dumps, TEXTS)), {"X-Amzn-SageMaker-Custom-Attributes": attributes}
    expected = without_scores(rows(post(containers[2], content, LINES, **headers)))
    assert without_scores(rows(chained(containers, content, LINES, **headers))) == expected
    first = post(containers[0], content, LINES, **headers)
    assert without_scores(rows(post(containers[1], first.content, first.headers["content-type"]))) == expected


@pytest.mark.parametrize("accept", [JSON, LINES, CSV])
def test_accept_of_the_last_container_shapes_the_answer(containers, accept):
    """The client's Accept arrives there alone."""
    answer = chained(containers, json.dumps({"texts": TEXTS}), JSON, accept=accept)
    assert answer.headers["content-type"].startswith(accept)
    single = post(containers[2], json.dumps({"texts": TEXTS}), JSON, accept)
    assert answer.text.count("\n") == single.text.count("\n")


def test_text_is_kept_between_the_hops_and_dropped_at_the_end(containers):
    """The second container needs it; the client asked for no text."""
    first = post(containers[0], json.dumps({"text": TEXTS[0]}), JSON)
    assert first.json()["text"] == TEXTS[0]
    assert "text" not in chained(containers, json.dumps({"text": TEXTS[0]}), JSON).json()


def test_stream_that_is_asked_for_in_the_body_reaches_the_last_container(containers):
    """The first one's lines say it to the second, whose lines are those of one container."""
    content = json.dumps({"texts": TEXTS, "parameters": {"stream": True}})
    answer, single = chained(containers, content, JSON), post(containers[2], content, JSON)
    assert answer.headers["transfer-encoding"] == single.headers["transfer-encoding"] == "chunked"
    assert without_scores(rows(answer)) == without_scores(rows(single))
    assert len(rows(answer)) == len(TEXTS)
