"""A REST API's proxy event read into one call. Knows API Gateway's habits: nulls, lists of values, base64; no route.

Source: "Input format of a Lambda function for proxy integration", API Gateway developer guide.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from absa_invoke.problems import INVALID_REQUEST, Problem

_UNKNOWN_ID = "unknown"


class _Context(BaseModel):
    model_config = ConfigDict(frozen=True)

    request_id: str = Field(_UNKNOWN_ID, alias="requestId")
    path: str | None = None


class _ProxyEvent(BaseModel):
    """What of the event is used; all else is passed over. API Gateway sends null for whatever there is none of."""

    model_config = ConfigDict(frozen=True)

    resource: str
    method: str = Field(alias="httpMethod")
    path: str = "/"
    headers: dict[str, str | None] | None = None
    multi_headers: dict[str, list[str] | None] | None = Field(None, alias="multiValueHeaders")
    query: dict[str, str | None] | None = Field(None, alias="queryStringParameters")
    multi_query: dict[str, list[str | None] | None] | None = Field(None, alias="multiValueQueryStringParameters")
    path_parameters: dict[str, str | None] | None = Field(None, alias="pathParameters")
    body: str | None = None
    is_base64: bool | None = Field(None, alias="isBase64Encoded")
    context: _Context = Field(default_factory=_Context, alias="requestContext")


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `resource` is the path that API Gateway matched, `/v1/results/{id}`; header names are lower case."""

    method: str
    resource: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, tuple[str, ...]]
    path_parameters: Mapping[str, str]
    body: bytes
    request_id: str


def request_id_of(event: object) -> str:
    """The id that API Gateway gave the request, whatever else is wrong with the event."""
    context = event.get("requestContext") if isinstance(event, dict) else None
    found = context.get("requestId") if isinstance(context, dict) else None
    return found if isinstance(found, str) else _UNKNOWN_ID


def read_event(event: object) -> Call:
    """The call that the event holds. Raises `Problem` for one that API Gateway does not send."""
    try:
        found = _ProxyEvent.model_validate(event)
    except ValidationError as error:
        named = sorted({str(one["loc"][0]) if one["loc"] else "event" for one in error.errors(include_input=False)})
        raise Problem(INVALID_REQUEST, f"event: not of a REST API's proxy integration: {', '.join(named)}") from None
    return Call(
        method=found.method,
        resource=found.resource,
        path=found.context.path or found.path,
        headers=_headers(found),
        query=_query(found),
        path_parameters={name: value for name, value in (found.path_parameters or {}).items() if value is not None},
        body=_body(found),
        request_id=found.context.request_id,
    )


def _headers(event: _ProxyEvent) -> dict[str, str]:
    """The last value of each, as `headers` has it; some test tools send only the lists."""
    several = {name.lower(): values[-1] for name, values in (event.multi_headers or {}).items() if values}
    return several | {name.lower(): value for name, value in (event.headers or {}).items() if value is not None}


def _query(event: _ProxyEvent) -> dict[str, tuple[str, ...]]:
    """Every value of each name. API Gateway has decoded them."""
    one = {name: (value or "",) for name, value in (event.query or {}).items()}
    return one | {
        name: tuple(value or "" for value in values) for name, values in (event.multi_query or {}).items() if values
    }


def _body(event: _ProxyEvent) -> bytes:
    if event.body is None:
        return b""
    if not event.is_base64:
        # JSON can hold half a surrogate pair, UTF-8 cannot: it is refused where the body is read.
        return event.body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(event.body, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(INVALID_REQUEST, "body: expected base64, as isBase64Encoded says") from None
