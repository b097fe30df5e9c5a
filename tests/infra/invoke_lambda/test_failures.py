"""boto3's exceptions, raised by boto3 itself against a scripted server, as failures."""

import pytest
from botocore.exceptions import NoCredentialsError

from absa_invoke.clients import make_clients
from absa_invoke.failures import CallFailed, Failure, read_failure, translated

from .scripted_runtime import Scripted, error, model_error

CASES = [
    (error(400, "ThrottlingException"), "ThrottlingException"),
    (error(429, "ModelNotReadyException"), "ModelNotReadyException"),
    (error(503, "ServiceUnavailable"), "ServiceUnavailable"),
    (error(530, "InternalDependencyException"), "InternalDependencyException"),
    (Scripted(does="drop"), "ConnectionDropped"),
    (Scripted(does="cut"), "ConnectionDropped"),
    (Scripted(does="wait"), "ReadTimeout"),
]


@pytest.fixture
def ask(session, runtime):
    """One call, answered by one script."""

    def call(scripted: Scripted) -> Failure:
        client = make_clients(session, "sagemaker-runtime")(0.2)
        runtime.script[:] = [scripted]
        before = len(runtime.calls)
        with pytest.raises(CallFailed) as caught, translated():
            client.invoke_endpoint(EndpointName="absa", Body=b"{}")["Body"].read()
        client.close()
        assert len(runtime.calls) == before + 1, "botocore tried again"
        return caught.value.failure

    return call


@pytest.mark.parametrize(("scripted", "code"), CASES)
def test_failure_has_its_code(ask, scripted, code):
    """AWS's own, or ours where nothing was answered; and botocore has tried once."""
    assert ask(scripted).code == code


def test_model_error_has_what_the_container_said(ask):
    """Its status, its error body, and where its log is."""
    failure = ask(model_error(503, {"type": "ModelNotReady", "retry_after_s": 5}))
    assert (failure.original_status, failure.retry_after_s) == (503, 5)
    assert failure.log_stream.startswith("arn:aws:logs:")


@pytest.mark.parametrize("said", ["", "<html>", "[1]", "{", '"text"'])
def test_other_bodies_say_nothing(ask, said):
    """A container's error need not be one of ours."""
    assert dict(ask(model_error(500, said)).original) == {}


def test_own_trouble_keeps_its_name():
    """What never left the function is not a failure of the endpoint."""
    assert read_failure(NoCredentialsError()).code == "NoCredentialsError"
