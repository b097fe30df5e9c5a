"""Batch transform jobs of the local platform against the real server: answers beside their inputs, line by line."""

import asyncio
import csv
import json
from pathlib import Path

import pytest

from local_sagemaker.documents import parse_definitions
from local_sagemaker.transform import run_transform
from local_sagemaker.transform_job import parse_job
from tests.drills.platform import container, images
from tests.local_sagemaker.stand import configuration

LINES, JSON, CSV = "application/jsonlines", "application/json", "text/csv"
TEXT = "The food was great, but the service was slow."


def run(models: Path, work: Path, lines: list[str], content_type: str, **changed) -> list[str]:
    """The output lines of a job that joins `lines` with their answers."""
    (work / "input").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    described = configuration(images("1"), [{"ModelName": "m", "PrimaryContainer": container(models)}])
    document = {
        "TransformJobName": "join",
        "ModelName": "m",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": str(work / "input")}},
            "ContentType": content_type,
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": str(work / "out"), "Accept": content_type, "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.c6i.large", "InstanceCount": 1},
        "DataProcessing": {"JoinSource": "Input"},
    } | changed
    job = parse_job(document, parse_definitions(described, folder=work).models, folder=work)
    (written,) = asyncio.run(run_transform(job, folder=work))
    return Path(written).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("content_type", "strategy"), [(LINES, "SingleRecord"), (JSON, "MultiRecord"), (JSON, "SingleRecord")]
)
def test_answers_stand_in_their_own_objects(tiny_models, tmp_path, content_type, strategy):
    """`SageMakerOutput` beside each input, a broken one included, whatever the type is called."""
    lines = [json.dumps({"id": n, "text": TEXT if n % 3 else ""}) for n in range(9)]
    joined = [json.loads(line) for line in run(tiny_models, tmp_path, lines, content_type, BatchStrategy=strategy)]
    assert [one["id"] for one in joined] == list(range(9))
    assert [one["SageMakerOutput"]["id"] for one in joined] == list(range(9))
    assert ["error" in one["SageMakerOutput"] for one in joined] == [n % 3 == 0 for n in range(9)]


@pytest.mark.parametrize("payload", [{}, {"MaxPayloadInMB": 0}], ids=["payloads", "endless"])
def test_columns_stand_behind_their_own_rows(tiny_models, tmp_path, payload):
    """One column more for each row: what was answered for its text, or its error."""
    lines = [f'"{TEXT}",{n}' if n != 4 else f",{n}" for n in range(9)]
    rows = list(csv.reader(run(tiny_models, tmp_path, lines, CSV, **payload)))
    assert [row[1] for row in rows] == [str(n) for n in range(9)]
    assert {len(row) for row in rows} == {3}
    assert [isinstance(json.loads(row[2]), list) for row in rows] == [n != 4 for n in range(9)]


def test_same_job_twice_gives_the_same_bytes(tiny_models, tmp_path):
    """A request that is sent again changes nothing."""
    lines = [json.dumps({"id": n, "text": TEXT}) for n in range(5)]
    assert run(tiny_models, tmp_path, lines, LINES) == run(tiny_models, tmp_path, lines, LINES)
