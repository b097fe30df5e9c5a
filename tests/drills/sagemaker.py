"""Every way SageMaker calls a container, by an unmodified boto3 client against real server processes.

Prints the calls and what came back, and compares a pipeline's answers with one container's, for every text. Run by
`make drill-sagemaker`.
"""

import argparse
import asyncio
import json
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from local_sagemaker.documents import parse_definitions
from local_sagemaker.transform import run_transform
from local_sagemaker.transform_job import parse_job
from tests.drills.platform import container, images, read_texts
from tests.local_sagemaker.stand import configuration, stand

JSON, LINES = "application/json", "application/jsonlines"
TEXT = "The food was great, but the service was slow."
NAMED = {"model": "chain.tar.gz"}
CHAINED = "aspect_model=chain.tar.gz;sentiment_model=sentiment.tar.gz"
SCORES = ("score", "polarity_score", "scores")
# Scores have four digits: two that differ by less than 1e-4 may be written 1e-4 apart.
TOLERANCE = 1.000001e-4
# In bf16 the batch that a row is in moves its scores by some 1e-3.
EXACT = {"ABSA_PRECISION": "f32"}
WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Row:
    """One call, what came back, and whether that is what the contract says."""

    call: str
    answer: str
    is_right: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A pipeline's answers beside one container's."""

    texts: int
    different: int
    largest_difference: float


def describe(models: Path, work: Path, threads: str) -> dict[str, Any]:
    """The configuration: every kind of endpoint with our server in it."""
    stages = [container(models / name, ContainerHostname=name) for name in ("aspect", "sentiment")]
    prefix = work / "multi"
    prefix.mkdir()
    pack(prefix / "chain.tar.gz", [models / "aspect", models / "sentiment"])
    pack(prefix / "sentiment.tar.gz", [models / "sentiment"])
    multi = {"Image": "absa", "Mode": "MultiModel", "ModelDataUrl": f"{prefix}/", "ContainerHostname": "multi"}
    dynamic = {"Image": "absa", "Environment": {"ABSA_MODEL_STORE": str(prefix)}}
    described = configuration(
        images(threads, **EXACT),
        [
            {"ModelName": "single", "PrimaryContainer": container(models)},
            {"ModelName": "pipeline", "Containers": stages},
            {"ModelName": "direct", "Containers": stages, "InferenceExecutionConfig": {"Mode": "Direct"}},
            {"ModelName": "dynamic", "PrimaryContainer": dynamic},
            {"ModelName": "multi", "PrimaryContainer": multi},
            {"ModelName": "pipeline-multi", "Containers": [stages[0], multi]},
            {"ModelName": "async", "PrimaryContainer": container(models)},
        ],
    )
    config = next(one for one in described["EndpointConfigs"] if one["EndpointConfigName"] == "async")
    config["AsyncInferenceConfig"] = {"OutputConfig": {"S3OutputPath": str(work / "out")}}
    return described


def pack(archive: Path, folders: Sequence[Path]) -> None:
    """An artifact of model folders, packed as SageMaker takes it."""
    with tarfile.open(archive, "w:gz", compresslevel=1, dereference=True) as packed:
        for folder in folders:
            packed.add(folder, folder.name)


def invoke(client: Any, endpoint: str, **arguments: Any) -> Any:
    """The JSON that an endpoint answered."""
    answer = client.invoke_endpoint(EndpointName=endpoint, **({"ContentType": JSON} | arguments))
    return json.loads(answer["Body"].read())


def calls(client: Any) -> list[Row]:
    """One row for each way to call."""
    body = json.dumps({"text": TEXT})

    def row(name: str, call: Callable[[], Any], is_right: Callable[[Any], bool]) -> Row:
        answer = call()
        return Row(name, json.dumps(answer)[:100], is_right(answer))

    def is_rated(answer: Any) -> bool:
        return bool(answer["aspects"]) and all(one["polarity"] for one in answer["aspects"])

    return [
        row("single", lambda: invoke(client, "single", Body=body), is_rated),
        row("serial pipeline", lambda: invoke(client, "pipeline", Body=body), is_rated),
        row(
            "direct, aspect",
            lambda: invoke(client, "direct", Body=body, TargetContainerHostname="aspect"),
            lambda answer: answer["text"] == TEXT and "polarity" not in answer["aspects"][0],
        ),
        row(
            "dynamic, by name",
            lambda: invoke(client, "dynamic", Body=json.dumps({"inputs": TEXT, "parameters": NAMED})),
            is_rated,
        ),
        row(
            "dynamic, by Custom-Attributes, chained",
            lambda: invoke(client, "dynamic", Body=TEXT, ContentType="text/plain", CustomAttributes=CHAINED),
            is_rated,
        ),
        row(
            "multi-model",
            lambda: [invoke(client, "multi", Body=body, TargetModel="chain.tar.gz") for _ in range(2)],
            lambda answers: all(map(is_rated, answers)),
        ),
        row(
            "pipeline with multi-model",
            lambda: invoke(client, "pipeline-multi", Body=body, TargetModel="sentiment.tar.gz"),
            is_rated,
        ),
        row("asynchronous", lambda: _asynchronous(client, body), is_rated),
        row("response stream", lambda: _stream(client), lambda lines: len(lines) == 3 and all(map(is_rated, lines))),
        row("error", lambda: _error(client), lambda answer: answer == ["ModelError", 424, 400]),
    ]


def _asynchronous(client: Any, body: str) -> Any:
    accepted = client.invoke_endpoint_async(EndpointName="async", Body=body.encode(), ContentType=JSON)
    output, end = Path(accepted["OutputLocation"]), time.monotonic() + WAIT_S
    while not output.exists():
        assert time.monotonic() < end, "the asynchronous answer never came"
        time.sleep(0.05)
    return json.loads(output.read_bytes())


def _stream(client: Any) -> Any:
    """The lines of a streamed answer; a part's end is no line's end."""
    arguments = {"EndpointName": "single", "ContentType": JSON, "CustomAttributes": "stream=true"}
    answer = client.invoke_endpoint_with_response_stream(Body=json.dumps({"texts": [TEXT] * 3}), **arguments)
    assert answer["ContentType"] == LINES
    return [
        json.loads(line) for line in b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"]).splitlines()
    ]


def _error(client: Any) -> list[Any]:
    try:
        invoke(client, "pipeline", Body=b"{")
    except client.exceptions.ModelError as error:
        response = error.response
        status = response["ResponseMetadata"]["HTTPStatusCode"]
        return [response["Error"]["Code"], status, response["OriginalStatusCode"]]
    return []


def transform(described: dict[str, Any], work: Path, texts: Sequence[str]) -> Row:
    """A batch transform job over the texts."""
    (work / "input.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    document = {
        "TransformJobName": "drill",
        "ModelName": "single",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": str(work / "input.jsonl")}},
            "ContentType": LINES,
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": str(work / "batch"), "Accept": LINES, "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.c6i.large", "InstanceCount": 1},
    }
    job = parse_job(document, parse_definitions(described, folder=work).models, folder=work)
    (written,) = asyncio.run(run_transform(job, folder=work))
    lines = Path(written).read_bytes().splitlines()
    is_right = len(lines) == len(texts) and not any("error" in json.loads(line) for line in lines)
    return Row("batch transform", f"{len(lines)} lines of {len(texts)}", is_right)


def compare(client: Any, texts: Sequence[str], *, texts_a_request: int = 25) -> Comparison:
    """A pipeline's answers beside one container's, without and with their scores."""
    different, largest = 0, 0.0
    for start in range(0, len(texts), texts_a_request):
        body = json.dumps({"texts": texts[start : start + texts_a_request]})
        both = [invoke(client, endpoint, Body=body)["results"] for endpoint in ("single", "pipeline")]
        for one, other in zip(*both, strict=True):
            different += _without_scores(one) != _without_scores(other)
            largest = max([largest, *_differences(one, other)])
    return Comparison(len(texts), different, largest)


def _without_scores(result: dict[str, Any]) -> dict[str, Any]:
    aspects = [{name: value for name, value in one.items() if name not in SCORES} for one in result["aspects"]]
    return result | {"aspects": aspects}


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[float]:
    pairs = zip(one["aspects"], other["aspects"], strict=False)
    return [
        abs(mine - its)
        for first, second in pairs
        for mine, its in zip(_scores_of(first), _scores_of(second), strict=True)
    ]


def _scores_of(aspect: dict[str, Any]) -> list[float]:
    return [aspect["score"], aspect["polarity_score"], *aspect["scores"].values()]


def drill(models: Path, texts: Sequence[str], work: Path, *, threads: str = "") -> tuple[list[Row], Comparison]:
    """All calls, and the comparison over `texts`."""
    described = describe(models, work, threads)
    with stand(described, work) as running:
        client = running.client()
        rows, comparison = calls(client), compare(client, texts)
    return [*rows, transform(described, work, texts)], comparison


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder with aspect/ and sentiment/")
    parser.add_argument("--texts", type=Path, required=True, help="JSON Lines with a text each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work, Console().status("calling …"):
        rows, comparison = drill(arguments.models, read_texts(arguments.texts), Path(work))
    table = Table("call", "what came back", "as it should be")
    for row in rows:
        table.add_row(row.call, row.answer, "yes" if row.is_right else "NO")
    Console().print(table)
    Console().print(
        f"pipeline and one container: {comparison.different} of {comparison.texts} answers differ in more than scores, "
        f"largest difference of a score {comparison.largest_difference:.1e}"
    )
    is_equal = comparison.different == 0 and comparison.largest_difference <= TOLERANCE
    return 0 if is_equal and all(row.is_right for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
