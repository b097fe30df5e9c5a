"""One call of an endpoint: through a local SageMaker to real containers, and the errors that only AWS can give."""

import json
import socket

import pytest
from botocore.exceptions import ClientError

from absa_server.cloud.errors import Refused
from absa_server.cloud.invocation import MOST_BYTES, Call, explain, invoke, open_runtime
from tests.local_sagemaker.conftest import small_image
from tests.local_sagemaker.stand import Stand, configuration, stand

__all__ = ["small_image"]


@pytest.fixture(scope="module")
def local(small_image, tmp_path_factory):
    """An endpoint of a small container that answers what it is told to."""
    folder = tmp_path_factory.mktemp("sagemaker")
    described = configuration({"small": small_image}, [{"ModelName": "one", "PrimaryContainer": {"Image": "small"}}])
    with stand(described, folder) as ready:
        yield ready


def ask(local: Stand, body: object, *, endpoint: str = "one", **extra):
    client = open_runtime(region=None, profile=None, endpoint_url=local.url)
    try:
        return invoke(client, Call(endpoint, json.dumps(body).encode(), **extra))
    finally:
        client.close()


def test_answer_comes_back_without_any_credentials(local, monkeypatch):
    """A platform on this machine is called unsigned; nobody has to invent keys for it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    answer = ask(local, {"text": "Great food."})
    assert answer.variant == "AllTraffic"
    assert json.loads(answer.body)["body"] == json.dumps({"text": "Great food."})


@pytest.mark.parametrize(
    ("status", "advice"), [(400, "names the field"), (429, "busy"), (507, "memory"), (418, "`absa status`")]
)
def test_refusal_of_the_container_is_told_in_its_own_words(local, status, advice):
    """The container's status and message, not SageMaker's 424 around it; and what to do."""
    with pytest.raises(Refused) as raised:
        ask(local, {"do": "status", "status": status, "message": "text: too long"})
    assert f"the container answered {status}" in str(raised.value)
    assert advice in str(raised.value)


def test_unknown_endpoint_is_explained(local):
    """The name and the Region are what is usually wrong."""
    with pytest.raises(Refused, match="in this Region"):
        ask(local, {}, endpoint="nobody")


def test_platform_that_is_not_there_is_explained():
    """Nobody listens at the address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    client = open_runtime(region=None, profile=None, endpoint_url=url)
    with pytest.raises(Refused, match="--endpoint-url"):
        invoke(client, Call("one", b"{}"))
    client.close()


def test_body_above_sagemakers_limit_is_not_sent(local):
    """6 MB, as SageMaker counts them; one byte more is refused here, with the numbers."""
    client = open_runtime(region=None, profile=None, endpoint_url=local.url)
    largest = json.dumps({"do": "status", "status": 200, "message": "ok"}).encode().ljust(MOST_BYTES)
    assert invoke(client, Call("one", largest)).body == b"ok"
    with pytest.raises(Refused, match="6,291,457"):
        invoke(client, Call("one", b" " * (MOST_BYTES + 1)))
    client.close()


@pytest.mark.parametrize("region", [None, "eu-west-1"])
def test_bad_address_is_explained(region):
    """Neither http nor https."""
    with pytest.raises(Refused, match="--endpoint-url is http"):
        open_runtime(region=region, profile=None, endpoint_url="127.0.0.1:8100")


def test_missing_profile_and_region_are_explained(monkeypatch, tmp_path):
    """Before anything is sent."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(Refused, match="--region"):
        open_runtime(region=None, profile=None, endpoint_url=None)
    with pytest.raises(Refused, match="nobody"):
        open_runtime(region="eu-west-1", profile="nobody", endpoint_url=None)


@pytest.mark.parametrize(
    ("code", "message", "call", "advice"),
    [
        ("AccessDeniedException", "no", Call("absa", b""), "sagemaker:InvokeEndpoint on endpoint absa"),
        ("ExpiredTokenException", "old", Call("absa", b""), "log in"),
        ("ModelNotReadyException", "not yet", Call("absa", b""), "try again"),
        ("ServiceUnavailable", "", Call("absa", b""), "how many"),
        ("ThrottlingException", "", Call("absa", b""), "Service Quotas"),
        ("ValidationError", "Endpoint absa of account 1 not found.", Call("absa", b""), "Region"),
        ("ValidationError", "TargetModel is required", Call("absa", b""), "--target-model"),
        ("ValidationError", "invalid target model", Call("absa", b"", target_model="x"), "x: expected the key"),
    ],
)
def test_errors_of_aws_are_explained(code, message, call, advice):
    """Each with what to do next."""
    error = ClientError({"Error": {"Code": code, "Message": message}}, "InvokeEndpoint")
    assert advice in explain(error, call)


def test_container_that_answers_no_json_is_quoted():
    """A proxy's page, or nothing, in its own words, cut short."""
    response = {
        "Error": {"Code": "ModelError", "Message": "m"},
        "OriginalStatusCode": 500,
        "OriginalMessage": "<p>" * 999,
    }
    said = explain(ClientError(response, "InvokeEndpoint"), Call("absa", b""))
    assert "<p><p>" in said
    assert len(said) < 700
