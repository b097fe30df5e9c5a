"""The platform's headers beside the body: what a container is told of a request, and what it says in return.

Limits and directions: the Runtime API's InvokeEndpoint page. A value outside them is passed over, not refused: a proxy
or a person with curl may send anything, and no answer depends on it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

TARGET_MODEL = "X-Amzn-SageMaker-Target-Model"
INFERENCE_ID = b"x-amzn-sagemaker-inference-id"
CUSTOM_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"

_INFERENCE_ID = re.compile(rb"[!-~](?:[ -~]{0,62}[!-~])?")
# At most 1,024 visible characters of US-ASCII, as the page says.
_ATTRIBUTES = re.compile(rb"[\t -~]{1,1024}")


@dataclass(frozen=True, slots=True)
class SageMakerHeaders:
    """What was sent; None for what was not, or not within its limits."""

    inference_id: str | None = None
    custom_attributes: bytes | None = None


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> SageMakerHeaders:
    """The platform's headers among an ASGI scope's, whose names are in lower case."""
    inference_id = attributes = None
    for name, value in headers:
        if name == INFERENCE_ID and _INFERENCE_ID.fullmatch(value):
            inference_id = value.decode("ascii")
        elif name == CUSTOM_ATTRIBUTES and _ATTRIBUTES.fullmatch(value):
            attributes = value
    return SageMakerHeaders(inference_id, attributes)
