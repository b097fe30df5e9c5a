"""The Runtime API as an unmodified boto3 client sees it, in front of small containers that are real processes."""

import io
import json
import tarfile
import time
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from local_sagemaker.limits import Limits
from local_sagemaker.storage import local_path
from tests.local_sagemaker.stand import configuration, stand

FAST = replace(Limits(), invocation_s=1.5, stop_s=5.0, ping_every_s=0.1, ping_s=1.0, model_wait_s=0.5)
TRACE = "trace-1"


def ask(client, endpoint, body, **extra):
    answer = client.invoke_endpoint(EndpointName=endpoint, Body=body, **extra)
    return answer | {"Body": answer["Body"].read()}


def told(client, endpoint, body=b"{}", **extra):
    return json.loads(ask(client, endpoint, body, **extra)["Body"])


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response


def lowered(headers):
    return {name.lower(): value for name, value in headers.items()}


def archive(path, **files):
    """A model's tar.gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as opened:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content.encode()))
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name in ("a", "b", "c"):
        archive(folder / f"{name}.tar.gz", name=name)
    archive(folder / "broken.tar.gz", name="broken", broken="1")
    archive(folder / "slow.tar.gz", name="slow", slow="1.5")
    (folder / "no-archive.tar.gz").write_text("this is no archive")
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory, small_image, models):
    folder = tmp_path_factory.mktemp("stand")
    small = {"Image": "small"}
    first = small | {"Environment": {"NAME": "first", "ANSWER_TYPE": "Application/JSON; charset=utf-8"}}
    second = small | {"Environment": {"NAME": "second"}}
    multi = small | {"Mode": "MultiModel", "ModelDataUrl": f"{models}/"}
    multi["Environment"] = {"CAPACITY": "2", "CALLS": str(folder / "calls")}
    described = configuration(
        {"small": small_image},
        [
            {"ModelName": "single", "PrimaryContainer": small},
            {"ModelName": "pipeline", "Containers": [first, second]},
            {
                "ModelName": "direct",
                "Containers": [first | {"ContainerHostname": "one"}, second | {"ContainerHostname": "two"}],
                "InferenceExecutionConfig": {"Mode": "Direct"},
            },
            {"ModelName": "multi", "PrimaryContainer": multi},
            {"ModelName": "pipeline-multi", "Containers": [first, multi | {"Environment": {}}]},
            {
                "ModelName": "uncached",
                "PrimaryContainer": multi | {"MultiModelConfig": {"ModelCacheSetting": "Disabled"}, "Environment": {}},
            },
            {"ModelName": "later", "PrimaryContainer": small},
        ],
    )
    config = next(one for one in described["EndpointConfigs"] if one["EndpointConfigName"] == "later")
    output = {"S3OutputPath": str(folder / "out"), "S3FailurePath": f"file://{folder}/failed"}
    config["AsyncInferenceConfig"] = {"OutputConfig": output}
    with stand(described, folder, limits=FAST) as ready:
        yield ready


@pytest.fixture(scope="module")
def client(running):
    return running.client()


def test_invoke_endpoint_returns_the_containers_answer(client):
    """Body, type, variant and the container's Custom-Attributes come back; other headers of it do not."""
    answer = ask(
        client, "single", b"hello", ContentType="text/plain", Accept="application/json", CustomAttributes=TRACE
    )
    assert json.loads(answer["Body"])["body"] == "hello"
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == TRACE
    assert "x-secret" not in answer["ResponseMetadata"]["HTTPHeaders"]


def test_container_is_told_only_what_the_platform_passes_on(client):
    """Signature, agent and routing headers are stripped; the ones of the contract arrive."""
    headers = lowered(
        told(
            client,
            "single",
            ContentType="text/csv; header=absent",
            Accept="text/csv",
            InferenceId="id-1",
            CustomAttributes=TRACE,
            TargetVariant="AllTraffic",
        )["headers"]
    )
    assert headers["content-type"] == "text/csv; header=absent"
    assert headers["accept"] == "text/csv"
    assert headers["x-amzn-sagemaker-inference-id"] == "id-1"
    assert headers["x-amzn-sagemaker-custom-attributes"] == TRACE
    assert set(headers) == {
        "host",
        "content-length",
        "content-type",
        "accept",
        "x-amzn-sagemaker-inference-id",
        "x-amzn-sagemaker-custom-attributes",
    }


def test_pipeline_gives_each_answer_to_the_next_container(client):
    """The second reads the first's answer under its type, parameters included; only the second hears of Accept."""
    second = told(
        client, "pipeline", b"hi", ContentType="text/plain", Accept="application/json", CustomAttributes=TRACE
    )
    first = json.loads(second["body"])
    assert (first["name"], second["name"]) == ("first", "second")
    assert lowered(first["headers"])["content-type"] == "text/plain"
    assert "accept" not in lowered(first["headers"])
    assert lowered(second["headers"])["content-type"] == "Application/JSON; charset=utf-8"
    assert lowered(second["headers"])["accept"] == "application/json"
    assert lowered(second["headers"])["x-amzn-sagemaker-custom-attributes"] == TRACE


def test_pipeline_binds_each_container_to_a_port_of_its_own(client):
    """Both share one machine, and are told by SAGEMAKER_BIND_TO_PORT."""
    second = told(client, "pipeline")
    ports = {one["environment"]["SAGEMAKER_BIND_TO_PORT"] for one in (second, json.loads(second["body"]))}
    assert len(ports) == 2


def test_hop_limit_lets_five_megabytes_pass_and_no_more(client):
    """5 MiB between two containers pass; one byte more is the error of the troubleshooting page."""
    largest = json.dumps({"do": "size", "bytes": 5 * 1024 * 1024}).encode()
    assert len(json.loads(ask(client, "pipeline", largest)["Body"])["body"]) == 5 * 1024 * 1024
    larger = json.dumps({"do": "size", "bytes": 5 * 1024 * 1024 + 1}).encode()
    status, code, response = refused(client.invoke_endpoint, EndpointName="pipeline", Body=larger)
    assert (status, code) == (424, "ModelError")
    assert "from container-1 to container-2 is 5242881 bytes, which has exceeded" in response["Error"]["Message"]


def test_direct_mode_asks_the_named_container(client):
    """And only that one; a name is needed, and must be known."""
    assert told(client, "direct", TargetContainerHostname="one")["name"] == "first"
    assert told(client, "direct", TargetContainerHostname="two")["name"] == "second"
    for target in ({}, {"TargetContainerHostname": "three"}):
        assert refused(client.invoke_endpoint, EndpointName="direct", Body=b"{}", **target)[:2] == (
            400,
            "ValidationError",
        )


@pytest.mark.parametrize(
    "arguments",
    [
        {"EndpointName": "single", "TargetModel": "a.tar.gz"},
        {"EndpointName": "pipeline", "TargetContainerHostname": "container-1"},
        {"EndpointName": "multi"},
        {"EndpointName": "multi", "TargetModel": "missing.tar.gz"},
        {"EndpointName": "multi", "TargetModel": "../models/a.tar.gz"},
        {"EndpointName": "multi", "TargetModel": "no-archive.tar.gz"},
        {"EndpointName": "unknown"},
        {"EndpointName": "single", "TargetVariant": "unknown"},
        {"EndpointName": "later"},
        {"EndpointName": "single", "Body": b"x" * (6 * 1024 * 1024 + 1)},
    ],
)
def test_request_that_the_endpoint_does_not_take_is_a_validation_error(client, arguments):
    """400 ValidationError, and a message."""
    status, code, response = refused(client.invoke_endpoint, **({"Body": b"{}"} | arguments))
    assert (status, code) == (400, "ValidationError")
    assert response["Error"]["Message"]


def test_body_of_six_megabytes_passes(client):
    """The largest request that the API takes reaches the container."""
    body = b"{" + b" " * (6 * 1024 * 1024 - len('{"do": "size", "bytes": 1}')) + b'"do": "size", "bytes": 1}'
    assert len(body) == 6 * 1024 * 1024
    assert ask(client, "single", body)["Body"] == b"x"


@pytest.mark.parametrize(("status", "kind"), [(400, "client"), (415, "client"), (500, "server"), (503, "server")])
def test_container_error_becomes_a_model_error(client, status, kind):
    """424 with the container's own status and words, and where its log is."""
    body = json.dumps({"do": "status", "status": status, "message": "no, thanks"}).encode()
    http_status, code, response = refused(client.invoke_endpoint, EndpointName="single", Body=body)
    assert (http_status, code) == (424, "ModelError")
    assert response["OriginalStatusCode"] == status
    assert response["OriginalMessage"] == "no, thanks"
    assert "/aws/sagemaker/Endpoints/single" in response["LogStreamArn"]
    assert f'Received {kind} error ({status}) from primary with message "no, thanks"' in response["Error"]["Message"]


def test_error_in_a_pipeline_names_the_container_and_ends_the_chain(client):
    """The first container's error is the client's; the second is not asked."""
    body = json.dumps({"do": "status", "status": 415, "message": "what is this"}).encode()
    _, _, response = refused(client.invoke_endpoint, EndpointName="pipeline", Body=body)
    assert "client error (415) from container-1" in response["Error"]["Message"]


def test_late_answer_becomes_a_model_error_without_a_status(client):
    """After the platform's time: 424, original status 0."""
    body = json.dumps({"do": "sleep", "seconds": 2.5}).encode()
    _, code, response = refused(client.invoke_endpoint, EndpointName="single", Body=body)
    assert code == "ModelError"
    assert response["OriginalStatusCode"] == 0
    assert "timed out" in response["OriginalMessage"]


@pytest.mark.parametrize(("size", "passes"), [(3500, True), (4096, False)])
def test_answer_with_large_headers_is_refused(client, size, passes):
    """More than 4,096 bytes of headers fail the request."""
    body = json.dumps({"do": "header", "bytes": size}).encode()
    if passes:
        assert ask(client, "single", body)["Body"] == b"{}"
    else:
        _, _, response = refused(client.invoke_endpoint, EndpointName="single", Body=body)
        assert "headers with length greater than 4096 bytes" in response["Error"]["Message"]


def stream(client, body):
    answer = client.invoke_endpoint_with_response_stream(EndpointName="single", Body=body, Accept="text/plain")
    return answer, answer["Body"]


def test_stream_passes_the_containers_chunks_on(client):
    """Parts together are the container's bytes; type and variant are the answer's."""
    answer, events = stream(client, b'{"do": "chunks"}')
    assert b"".join(event["PayloadPart"]["Bytes"] for event in events) == b"first second"
    assert answer["ContentType"] == "text/plain"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_stream_of_a_container_that_does_not_stream_arrives_in_parts(client):
    """A body of 200 kB comes in several parts; the container's Accept is the client's."""
    _, events = stream(client, json.dumps({"do": "size", "bytes": 200_000}).encode())
    parts = [event["PayloadPart"]["Bytes"] for event in events]
    assert len(parts) > 1
    assert sum(map(len, parts)) == 200_000
    _, events = stream(client, b"{}")
    said = json.loads(b"".join(event["PayloadPart"]["Bytes"] for event in events))
    assert lowered(said["headers"])["accept"] == "text/plain"


def test_stream_that_breaks_ends_with_a_model_stream_error(client):
    """What came before is delivered; then the error, in band."""
    _, events = stream(client, b'{"do": "cut"}')
    received = []
    with pytest.raises(Exception, match="ModelStreamError"):
        received.extend(event["PayloadPart"]["Bytes"] for event in events)


def test_stream_that_fails_before_its_first_byte_is_a_model_error(client):
    """As for the other call: 424 with the container's status."""
    arguments = {"EndpointName": "single", "Body": b'{"do": "status", "status": 400, "message": "no"}'}
    status, code, response = refused(client.invoke_endpoint_with_response_stream, **arguments)
    assert (status, code, response["OriginalStatusCode"]) == (424, "ModelError", 400)


def wait_for(path, limit_s=20.0):
    end = time.monotonic() + limit_s
    while not path.exists():
        assert time.monotonic() < end, f"{path} was never written"
        time.sleep(0.02)
    return path.read_bytes()


def test_async_answer_becomes_an_object(client, tmp_path, path_of):
    """202 with the places; the input object's answer is written to the first."""
    (tmp_path / "input").write_bytes(b"from an object")
    accepted = client.invoke_endpoint_async(
        EndpointName="later", InputLocation=f"file://{tmp_path}/input", ContentType="text/plain", InferenceId="job-1"
    )
    assert accepted["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert accepted["InferenceId"] == "job-1"
    answer = json.loads(wait_for(path_of(accepted["OutputLocation"])))
    assert answer["body"] == "from an object"
    assert lowered(answer["headers"])["content-type"] == "text/plain"


@pytest.mark.parametrize("do", [{"do": "status", "status": 500}, {"do": "chunks"}])
def test_async_failure_becomes_an_object(client, path_of, do):
    """A container's error, and an answer without Content-Length, go to the failure path."""
    accepted = client.invoke_endpoint_async(EndpointName="later", Body=json.dumps(do).encode())
    assert wait_for(path_of(accepted["FailureLocation"]))


def test_async_call_needs_an_asynchronous_endpoint(client):
    """ValidationError elsewhere, and for a call with neither a body nor a place."""
    for arguments in ({"EndpointName": "single", "Body": b"1"}, {"EndpointName": "later"}):
        assert refused(client.invoke_endpoint_async, **arguments)[:2] == (400, "ValidationError")


@pytest.fixture
def path_of():
    return local_path


def test_multi_model_endpoint_loads_and_unloads(client, running):
    """Two fit: the third has the least recently used one unloaded; a second call of a loaded one loads nothing."""
    calls = running.platform.endpoints["multi"].fleets["AllTraffic"].instances[0].loaded_models["primary"]
    names = {target: told(client, "multi", TargetModel=f"{target}.tar.gz") for target in "ab"}
    assert {target: answer["model"] for target, answer in names.items()} == {"a": "a", "b": "b"}
    assert told(client, "multi", TargetModel="a.tar.gz")["model"] == "a"
    assert told(client, "multi", TargetModel="c.tar.gz")["model"] == "c"
    assert calls.names == ["a.tar.gz", "c.tar.gz"]
    assert told(client, "multi", TargetModel="b.tar.gz")["model"] == "b"
    assert calls.names == ["c.tar.gz", "b.tar.gz"]


def test_model_that_the_container_lost_is_loaded_again(client):
    """A 404 on invoke is answered by a load and one more try; the client sees only the answer."""
    assert told(client, "multi", b"lose", TargetModel="a.tar.gz")["model"] == "a"


def test_model_that_cannot_be_loaded_is_a_model_error(client):
    """With what the container said to POST /models."""
    arguments = {"EndpointName": "multi", "TargetModel": "broken.tar.gz", "Body": b"{}"}
    _, code, response = refused(client.invoke_endpoint, **arguments)
    assert code == "ModelError"
    assert response["OriginalStatusCode"] == 500
    assert "broken model" in response["OriginalMessage"]


def test_model_that_loads_slowly_is_not_ready_and_then_is(client):
    """429 after the time a client waits; the load goes on, and a later call is answered."""
    arguments = {"EndpointName": "multi", "TargetModel": "slow.tar.gz", "Body": b"{}"}
    assert refused(client.invoke_endpoint, **arguments)[:2] == (429, "ModelNotReadyException")
    end = time.monotonic() + 20
    while True:
        try:
            assert told(client, "multi", TargetModel="slow.tar.gz")["model"] == "slow"
        except client.exceptions.ModelNotReadyException:
            assert time.monotonic() < end, "the load never ended"
        else:
            break


def test_pipeline_with_a_multi_model_container(client):
    """The plain container is asked at /invocations without the target, the other for the target model."""
    answer = told(client, "pipeline-multi", b"hi", TargetModel="b.tar.gz")
    assert answer["model"] == "b"
    assert lowered(answer["headers"])["x-amzn-sagemaker-target-model"] == "b.tar.gz"
    assert lowered(answer["headers"])["content-type"] == "Application/JSON; charset=utf-8"


def test_uncached_model_leaves_container_and_disk(client, running):
    """ModelCacheSetting Disabled: after the call the model is unloaded and its files are deleted."""
    assert told(client, "uncached", TargetModel="a.tar.gz")["model"] == "a"
    instance = running.platform.endpoints["uncached"].fleets["AllTraffic"].instances[0]
    folder = instance.containers[0].base_dir / "models"
    end = time.monotonic() + 20
    while list(folder.iterdir()):
        assert time.monotonic() < end, "the model's files were never deleted"
        time.sleep(0.02)
    assert instance.loaded_models["primary"].names == []
