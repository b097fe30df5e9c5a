"""Which headers pass between client, platform and containers. Knows names, no values and no HTTP.

InvokeEndpoint's page: "SageMaker strips all POST headers except those supported by the API". Which of them pass from
hop to hop in a pipeline is not documented; the guess is that what the client said of the whole request
(Custom-Attributes, Inference-Id, Session-Id) is told to every container.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "x-amzn-sagemaker-"
TARGET_MODEL = f"{PREFIX}target-model"
TARGET_VARIANT = f"{PREFIX}target-variant"
TARGET_CONTAINER = f"{PREFIX}target-container-hostname"
INFERENCE_ID = f"{PREFIX}inference-id"
STREAM_CONTENT_TYPE = f"{PREFIX}content-type"
INVOKED_VARIANT = "x-amzn-invoked-production-variant"

_TO_EVERY_CONTAINER = (f"{PREFIX}custom-attributes", INFERENCE_ID, f"{PREFIX}session-id")
_TO_CLIENT = (
    "content-type",
    f"{PREFIX}custom-attributes",
    f"{PREFIX}new-session-id",
    f"{PREFIX}closed-session-id",
)
# API: the longest value of each header that has a bound.
MAX_CHARS = {
    "content-type": 1024,
    "accept": 1024,
    f"{PREFIX}custom-attributes": 1024,
    TARGET_MODEL: 1024,
    TARGET_VARIANT: 63,
    TARGET_CONTAINER: 63,
    INFERENCE_ID: 64,
    f"{PREFIX}session-id": 256,
}


@dataclass(frozen=True, slots=True)
class Call:
    """A client's request without its body: header names in lower case, Content-Type and Accept by their plain names."""

    content_type: str | None
    accept: str | None
    headers: Mapping[str, str]

    @property
    def target_model(self) -> str | None:
        """Which model of a multi-model endpoint."""
        return self.headers.get(TARGET_MODEL)

    @property
    def target_variant(self) -> str | None:
        """Which variant, instead of one by weight."""
        return self.headers.get(TARGET_VARIANT)

    @property
    def target_container(self) -> str | None:
        """Which container of a model in direct mode."""
        return self.headers.get(TARGET_CONTAINER)


def read_call(headers: Mapping[str, str]) -> Call:
    """The call that an HTTP request's headers make; two of the three calls name types in headers of their own."""
    lowered = {name.lower(): value for name, value in headers.items()}
    return Call(
        content_type=lowered.get(STREAM_CONTENT_TYPE) or lowered.get("content-type"),
        accept=lowered.get(f"{PREFIX}accept") or lowered.get("accept"),
        headers=lowered,
    )


def for_container(
    call: Call, *, content_type: str | None, is_first: bool, is_last: bool, is_multi_model: bool
) -> dict[str, str]:
    """What a container is told. `content_type` is that of the answer before it; the first gets the client's own.

    Accept reaches the last container alone; those before it answer in their default type.
    """
    told = {name: call.headers[name] for name in _TO_EVERY_CONTAINER if name in call.headers}
    sent_type = call.content_type if is_first else content_type
    if sent_type is not None:
        told["content-type"] = sent_type
    if is_last and call.accept is not None:
        told["accept"] = call.accept
    if is_multi_model and call.target_model is not None:
        told[TARGET_MODEL] = call.target_model
    return told


def for_client(headers: Mapping[str, str], *, variant: str) -> dict[str, str]:
    """What of the last container's headers reaches the client, and what the platform adds."""
    return {name: headers[name] for name in _TO_CLIENT if name in headers} | {INVOKED_VARIANT: variant}


def size_bytes(headers: Mapping[str, str]) -> int:
    """Bytes of an answer's header lines."""
    return sum(len(name) + len(value) + len(": \r\n") for name, value in headers.items())
