"""One call of an endpoint, and what SageMaker's errors mean. Never repeats a call: a slow one would run twice."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

from absa_server.cloud.errors import Refused
from absa_server.cloud.inquiry import told

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

# SageMaker gives up after 60 s; its own answer says more than ours.
READ_S = 70
MOST_BYTES = 6 * 1024 * 1024
_UNRETRIED = {"total_max_attempts": 1, "mode": "standard"}
_OF_THE_CONTAINER = {
    400: "the request is malformed; the message names the field",
    404: "the container has no such model or path",
    413: "the body is larger than the container takes (SAGEMAKER_MAX_PAYLOAD_IN_MB)",
    415: "send --content-type application/json, application/jsonlines, text/csv or text/plain",
    429: "the container is busy; wait and try again, or add instances",
    500: "the container failed; `absa status` shows its last errors",
    503: "the model is not ready, or the container is busy; `absa status` shows its last errors",
    507: "no memory for another model; fewer models an endpoint, or larger instances",
}


@dataclass(frozen=True, slots=True)
class Call:
    """What is sent. `target_model` is the key of an archive below a multi-model endpoint's prefix."""

    endpoint: str
    body: bytes
    content_type: str = "application/json"
    accept: str = "application/json"
    target_model: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    body: bytes
    content_type: str
    variant: str | None


def open_runtime(*, region: str | None, profile: str | None, endpoint_url: str | None) -> "SageMakerRuntimeClient":
    """A client that calls once. Where `endpoint_url` is not AWS's it signs nothing, and needs no credentials."""
    is_local = endpoint_url is not None and "amazonaws.com" not in endpoint_url
    config = Config(connect_timeout=5, read_timeout=READ_S, retries=_UNRETRIED)  # type: ignore[arg-type]
    if is_local:
        config = config.merge(Config(signature_version=UNSIGNED))
    try:
        session = boto3.Session(region_name=region, profile_name=profile)
        if not session.region_name:
            session = boto3.Session(region_name="us-east-1", profile_name=profile) if is_local else session
        client: SageMakerRuntimeClient = session.client("sagemaker-runtime", endpoint_url=endpoint_url, config=config)
    except (BotoCoreError, ValueError) as error:
        raise Refused(
            f"{told(error)} Give --region or set AWS_REGION; --endpoint-url is http://… or https://…"
        ) from error
    return client


def invoke(client: "SageMakerRuntimeClient", call: Call) -> Answer:
    """The endpoint's answer. Raises `Refused` saying who refused it, and what to do."""
    if len(call.body) > MOST_BYTES:
        raise Refused(f"the body has {len(call.body):,} bytes; SageMaker takes {MOST_BYTES:,}: send fewer texts a call")
    extra: dict[str, Any] = {"TargetModel": call.target_model} if call.target_model else {}
    try:
        answer = client.invoke_endpoint(
            EndpointName=call.endpoint, Body=call.body, ContentType=call.content_type, Accept=call.accept, **extra
        )
        body = answer["Body"].read()
    except ClientError as error:
        raise Refused(explain(error, call)) from error
    except (ReadTimeoutError, ConnectTimeoutError) as error:
        raise Refused(f"no answer within {READ_S} s; `absa status --endpoint {call.endpoint}` shows why") from error
    except BotoCoreError as error:
        raise Refused(told(error)) from error
    return Answer(body, answer.get("ContentType", ""), answer.get("InvokedProductionVariant"))


def explain(error: ClientError, call: Call) -> str:
    """The error in words: the container's own, where it is the container that refused."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = str(error.response.get("Error", {}).get("Message", ""))
    if code == "ModelError":
        status = int(str(error.response.get("OriginalStatusCode", 0)) or 0)
        said = _container_message(str(error.response.get("OriginalMessage", "") or message))
        advice = _OF_THE_CONTAINER.get(status, "`absa status` shows the container's last errors")
        return f"the container answered {status or 'with no HTTP at all'}: {said}\n{advice}"
    advice = {
        "ValidationError": _validation(message, call),
        "ModelNotReadyException": "the model is being loaded; try again in some seconds",
        "ServiceUnavailable": "no instance took the call; `absa status` shows how many there are",
        "InternalFailure": "SageMaker itself failed; try again",
        "InternalDependencyException": "something that SageMaker needs failed; try again",
        "ThrottlingException": "too many calls for this account; slower, or ask for more in Service Quotas",
        "AccessDeniedException": f"sagemaker:InvokeEndpoint on endpoint {call.endpoint} is needed",
    }.get(code, "")
    return "\n".join(part for part in (told(error), advice) if part)


def _container_message(text: str) -> str:
    """Our containers answer `{"message": …}`; of anything else, the beginning."""
    try:
        body = json.loads(text)
    except ValueError:
        return text[:500]
    return str(body.get("message", text))[:500] if isinstance(body, dict) else text[:500]


def _validation(message: str, call: Call) -> str:
    if "not found" in message.lower():
        return f"is {call.endpoint} the endpoint's name, in this Region? `absa status` tells"
    if call.target_model and "target" in message.lower():
        return f"{call.target_model}: expected the key of an archive below the endpoint's prefix"
    return "" if call.target_model else "a multi-model endpoint needs --target-model"
