"""What boto3 raises, made into one kind of failure with a code: the one seam to botocore's exceptions."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
)

# Codes that AWS does not have: what went wrong on the way to it.
NOT_CONNECTED = "NotConnected"
READ_TIMEOUT = "ReadTimeout"
DROPPED = "ConnectionDropped"
OUT_OF_TIME = "OutOfTime"

MAX_RETRY_AFTER_S = 3600


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed call. `code` is AWS's name of the error or one of ours; the others are a ModelError's."""

    code: str
    message: str = ""
    original_status: int | None = None
    # The container's own error body, as far as it is one of ours; it may quote the text it was asked about.
    original: Mapping[str, Any] = field(default_factory=dict)
    log_stream: str = ""

    @property
    def retry_after_s(self) -> int | None:
        """Whole seconds that the container asks to wait, if it says."""
        found = self.original.get("retry_after_s")
        is_usable = isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found <= MAX_RETRY_AFTER_S
        return int(-(-found // 1)) if found is not None and is_usable else None


class CallFailed(Exception):
    """A call to AWS failed. `tries` counts those of ours; 0 where botocore itself does the trying."""

    def __init__(self, failure: Failure, *, tries: int = 0) -> None:
        super().__init__(failure.code)
        self.failure = failure
        self.tries = tries


@contextmanager
def translated() -> Iterator[None]:
    """Whatever boto3 raises inside is raised as `CallFailed`."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise CallFailed(read_failure(error)) from error


def read_failure(error: ClientError | BotoCoreError) -> Failure:
    """The failure that the exception tells of."""
    if isinstance(error, ClientError):
        return _answered(error)
    message = type(error).__name__
    if isinstance(error, ConnectTimeoutError | EndpointConnectionError):
        return Failure(NOT_CONNECTED, message)
    if isinstance(error, ReadTimeoutError):
        return Failure(READ_TIMEOUT, message)
    # ConnectionClosedError, ResponseStreamingError and their like: the request may have been worked on.
    if isinstance(error, HTTPClientError | IncompleteReadError):
        return Failure(DROPPED, message)
    return Failure(message, message)


def _answered(error: ClientError) -> Failure:
    response: Mapping[str, Any] = error.response
    told = response.get("Error", {})
    return Failure(
        code=str(told.get("Code", "")),
        message=str(told.get("Message", "")),
        original_status=response.get("OriginalStatusCode"),
        original=_read_body(response.get("OriginalMessage")),
        log_stream=str(response.get("LogStreamArn", "")),
    )


def _read_body(said: object) -> Mapping[str, Any]:
    try:
        found = json.loads(str(said))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
