"""Batch transform jobs against small containers that are real processes, and the pure parts by themselves."""

import asyncio
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_sagemaker.documents import parse_definitions
from local_sagemaker.errors import ConfigurationError, TransformFailed
from local_sagemaker.joining import filtered, joined, select
from local_sagemaker.limits import Limits
from local_sagemaker.records import answered_lines, assembled, batches, body_of, split_lines
from local_sagemaker.transform import run_transform
from local_sagemaker.transform_job import parse_job
from tests.local_sagemaker.stand import configuration

LIMITS = replace(Limits(), stop_s=5.0)
RECORDS = st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), min_size=1, max_size=40)


@given(RECORDS, st.integers(31, 80), st.booleans())
def test_batches_hold_every_record_once_in_order(records, max_bytes, is_multi):
    """No body is larger than allowed, none is empty, and none could have held the next one's first record."""
    made = list(batches(records, max_bytes=max_bytes, is_multi=is_multi))
    assert [record for batch in made for record in batch] == records
    sizes = [len(body_of(batch, is_multi=True)) for batch in made]
    assert max(sizes) <= max_bytes
    if is_multi:
        assert all(size + len(after[0]) + 1 > max_bytes for size, after in zip(sizes, made[1:], strict=False))
    else:
        assert {len(batch) for batch in made} == {1}


def test_record_that_is_too_large_alone_fails_the_job():
    """At the limit it passes; one byte more cannot be sent."""
    assert list(batches([b"1234"], max_bytes=5, is_multi=True)) == [[b"1234"]]
    with pytest.raises(TransformFailed, match="record 2"):
        list(batches([b"1", b"12345"], max_bytes=5, is_multi=True))


@given(RECORDS)
def test_lines_come_back(records):
    """Splitting undoes assembling by lines."""
    assert split_lines(assembled(records, is_by_line=True)) == [
        line for record in records for line in split_lines(record if record.endswith(b"\n") else record + b"\n")
    ]


def test_answers_of_another_count_cannot_be_joined():
    """One line for each record, or the job fails."""
    assert answered_lines(b"1\n2\n", count=2) == [b"1", b"2"]
    with pytest.raises(TransformFailed, match="each of 3 records, got 2"):
        answered_lines(b"1\n2\n", count=3)


@pytest.mark.parametrize(
    ("path", "found"),
    [("$", {"a": [1, 2, 3], "b c": 4}), ("$.a", [1, 2, 3]), ("$.a[1]", 2), ("$.a[0,2]", [1, 3]), ("$.a[1:]", [2, 3])],
)
def test_path_selects(path, found):
    """The steps that the developer guide's examples use."""
    assert select({"a": [1, 2, 3], "b c": 4}, path) == found
    assert select({"a": 1, "b c": 4}, "$['b c']") == 4


@pytest.mark.parametrize("path", ["a", "$.x", "$..a", "$[?(@.a)]", "$.a[9]", "$.a.b"])
def test_path_that_finds_nothing_fails_the_job(path):
    """With its own name in the message."""
    with pytest.raises(TransformFailed, match=r"finds nothing|expected a path"):
        select({"a": [1, 2, 3]}, path)


def test_join_puts_the_answer_beside_the_input():
    """As the developer guide's table says for objects, other JSON, and CSV."""
    assert json.loads(joined(b'{"a": 1}', b'{"p": 2}', "$", is_csv=False)) == {"a": 1, "SageMakerOutput": {"p": 2}}
    assert json.loads(joined(b"[1]", b"2", "$", is_csv=False)) == {"SageMakerInput": [1], "SageMakerOutput": 2}
    assert joined(b'1,"a,b"', b"0.9", "$", is_csv=True) == b'1,"a,b",0.9'
    assert joined(b"1,a", b"0.9", "$[0,-1]", is_csv=True) == b"1,0.9"
    assert filtered(b'{"a": "\xc3\xa4", "b": 2}', "$.a", is_csv=False) == '"ä"'.encode()


def document(folder, **changed):
    given = {
        "TransformJobName": "job",
        "ModelName": "m",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": str(folder / "input")}},
            "ContentType": "text/plain",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": str(folder / "out"), "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.c6i.large", "InstanceCount": 1},
    }
    return given | changed


def run(folder, image, environment=None, **changed):
    described = configuration(
        {"small": image}, [{"ModelName": "m", "PrimaryContainer": {"Image": "small", "Environment": environment or {}}}]
    )
    models = parse_definitions(described, folder=folder).models
    job = parse_job(document(folder, **changed), models, folder=folder)
    return asyncio.run(run_transform(job, folder=folder, limits=LIMITS))


def answers(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "a.txt").write_text("one\ntwo\nthree\n")
    return tmp_path


def test_single_records_are_sent_one_by_one(folder, small_image):
    """One answer for each, in order, without line ends in the bodies; the container knows that it is in a batch."""
    (written,) = run(folder, small_image, BatchStrategy="SingleRecord", MaxConcurrentTransforms=3, MaxPayloadInMB=1)
    assert written == str(folder / "out" / "a.txt.out")
    told = answers(folder / "out" / "a.txt.out")
    assert [one["body"] for one in told] == ["one", "two", "three"]
    environment = told[0]["environment"]
    assert environment["SAGEMAKER_BATCH"] == "true"
    assert environment["SAGEMAKER_BATCH_STRATEGY"] == "SINGLE_RECORD"
    assert environment["SAGEMAKER_MAX_PAYLOAD_IN_MB"] == "1"
    assert environment["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] == "3"


def test_many_records_are_sent_together(folder, small_image):
    """As many as the payload holds; what the user did not choose is not in the environment."""
    run(folder, small_image)
    (told,) = answers(folder / "out" / "a.txt.out")
    assert told["body"] == "one\ntwo\nthree\n"
    assert "SAGEMAKER_MAX_PAYLOAD_IN_MB" not in told["environment"]
    assert set(map(str.lower, told["headers"])) == {"host", "content-type", "content-length"}


def test_container_may_choose_the_parameters(folder, small_image):
    """What /execution-parameters says holds, unless the job says otherwise."""
    said = json.dumps({"MaxConcurrentTransforms": 2, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 1})
    run(folder, small_image, {"EXECUTION_PARAMETERS": said})
    assert len(answers(folder / "out" / "a.txt.out")) == 3
    run(folder, small_image, {"EXECUTION_PARAMETERS": said}, BatchStrategy="MultiRecord")
    assert len(answers(folder / "out" / "a.txt.out")) == 1


def test_every_object_below_the_prefix_is_transformed(folder, small_image):
    """Each to an output of its own name, folders included."""
    (folder / "input" / "more").mkdir()
    (folder / "input" / "more" / "b.txt").write_text("four")
    assert run(folder, small_image) == [str(folder / "out" / "a.txt.out"), str(folder / "out" / "more" / "b.txt.out")]


@pytest.mark.parametrize(("status", "said"), [(400, "1 times"), (500, "3 times")])
def test_refused_request_fails_the_job_and_writes_nothing(folder, small_image, status, said):
    """A 4xx at once, a 5xx after the retries."""
    (folder / "input" / "a.txt").write_text(json.dumps({"do": "status", "status": status}))
    client = {"InvocationsMaxRetries": 2, "InvocationsTimeoutInSeconds": 20}
    with pytest.raises(TransformFailed, match=said):
        run(folder, small_image, BatchStrategy="SingleRecord", ModelClientConfig=client)
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"ModelName": "unknown"},
        {"BatchStrategy": 7},
        {"MaxPayloadInMB": 60, "MaxConcurrentTransforms": 2},
        {"Unknown": 1},
        {"TransformOutput": {"S3OutputPath": "out"}, "DataProcessing": {"JoinSource": "Input"}},
    ],
)
def test_job_that_the_api_refuses_is_refused(folder, small_image, changed):
    """Before anything starts."""
    with pytest.raises(ConfigurationError):
        run(folder, small_image, **changed)
    assert [path.name for path in folder.iterdir()] == ["input"]
