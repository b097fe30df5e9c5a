"""API Gateway's side of a request: routes, authorization, validators and gateway responses of infra/openapi.yaml.

Plays what the developer guide says of a REST API with proxy integrations; a malformed answer is a 502 here, too.
Knows nothing of the function but that it is called with an event and a context.
"""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml
from openapi_schema_validator import OAS30Validator

from .proxy_events import STAGE, decode_query, make_event

OPENAPI = Path(__file__).parents[3] / "infra" / "openapi.yaml"
MAX_PAYLOAD_BYTES = 10 * 1024 * 1024
ANY = "x-amazon-apigateway-any-method"


def read_openapi() -> dict[str, Any]:
    """The document."""
    return yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))


def schema_validator(document: dict[str, Any], schema: dict[str, Any]) -> OAS30Validator:
    """Of one schema, with the document's others to refer to."""
    return OAS30Validator(schema | {"components": document["components"]})


@dataclass(frozen=True, slots=True)
class Response:
    """What a caller gets; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Context:
    """A function's context: when its time is over, and names."""

    timeout_s: float
    begin_s: float = field(default_factory=time.monotonic)
    function_name: str = "absa-api"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:111122223333:function:absa-api:live"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int(1000 * (self.begin_s + self.timeout_s - time.monotonic())))


class Gateway:
    """One deployed API. `validates` False leaves the validators out, so that the function has to refuse by itself."""

    def __init__(
        self,
        handler: Callable[[dict[str, Any], Context], Any],
        *,
        timeout_s: float = 28.0,
        validates: bool = True,
        is_binary: bool = False,
    ) -> None:
        self.document = read_openapi()
        self._handler = handler
        self._timeout_s = timeout_s
        self._validates = validates
        self._is_binary = is_binary

    def respond(self, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> Response:
        """The answer to one request, whose target begins with the stage."""
        request_id = str(uuid.uuid4())
        raw_path, _, raw_query = target.partition("?")
        path = "/" + raw_path.removeprefix(f"/{STAGE}").lstrip("/")
        sent = list(headers)
        lowered = {name.lower(): value for name, value in sent}
        if not {"authorization", "x-api-key"} & set(lowered):
            return self._refuse("MISSING_AUTHENTICATION_TOKEN", 403, "Missing Authentication Token", request_id)
        if len(body) > MAX_PAYLOAD_BYTES:
            return self._refuse("REQUEST_TOO_LARGE", 413, "Request Too Long", request_id)
        resource, parameters = self._route(path)
        operations = self.document["paths"][resource]
        operation = operations.get(method.lower()) or operations[ANY]
        refusal = self._validate(operation, raw_query, lowered, body, request_id) if self._validates else None
        if refusal is not None:
            return refusal
        event = make_event(
            method,
            resource,
            path,
            raw_query=raw_query,
            headers=sent,
            body=body,
            path_parameters=parameters,
            request_id=request_id,
            is_binary=self._is_binary,
        )
        answered = self._handler(event, Context(self._timeout_s))
        return self._read(json.loads(json.dumps(answered)), request_id)

    def _route(self, path: str) -> tuple[str, dict[str, str]]:
        """The resource with the fewest parameters that fits, which for these paths is API Gateway's choice."""
        for resource in sorted(self.document["paths"], key=lambda each: ("+}" in each, "{" in each)):
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", re.sub(r"\{(\w+)\+\}", r"(?P<\1>.+)", resource))
            if found := re.fullmatch(pattern, path):
                return resource, {name: unquote(value) for name, value in found.groupdict().items()}
        return "/{proxy+}", {"proxy": ""}

    def _validate(
        self, operation: dict[str, Any], raw_query: str, headers: dict[str, str], body: bytes, request_id: str
    ) -> Response | None:
        chosen = operation.get("x-amazon-apigateway-request-validator") or self.document.get(
            "x-amazon-apigateway-request-validator"
        )
        validator = self.document["x-amazon-apigateway-request-validators"].get(chosen, {})
        query = decode_query(raw_query)
        wanted = [
            one["name"] for one in operation.get("parameters", ()) if one.get("required") and one["in"] == "query"
        ]
        missing = [name for name in wanted if not any(value.strip() for value in query.get(name, ()))]
        if validator.get("validateRequestParameters") and missing:
            said = f"Missing required request parameters: [{', '.join(missing)}]"
            return self._refuse("BAD_REQUEST_PARAMETERS", 400, said, request_id)
        content = operation.get("requestBody", {}).get("content", {})
        media_type = headers.get("content-type", "application/json").partition(";")[0]
        if validator.get("validateRequestBody") and media_type in content:
            return self._validate_body(content[media_type]["schema"], body, request_id)
        return None

    def _validate_body(self, schema: dict[str, Any], body: bytes, request_id: str) -> Response | None:
        try:
            value = json.loads(body)
        except ValueError:
            return self._refuse("BAD_REQUEST_BODY", 400, "Invalid request body", request_id, "Can not parse JSON body")
        errors = [error.message for error in schema_validator(self.document, schema).iter_errors(value)]
        if not errors:
            return None
        return self._refuse("BAD_REQUEST_BODY", 400, "Invalid request body", request_id, str(errors[:3]))

    def _refuse(self, kind: str, status: int, message: str, request_id: str, validation: str = "") -> Response:
        """A gateway response: the document's own template where there is one, else the default of its class."""
        responses = self.document["x-amazon-apigateway-gateway-responses"]
        chosen = responses.get(kind) or responses[f"DEFAULT_{status // 100}XX"]
        body = chosen["responseTemplates"]["application/json"]
        for variable, value in (
            ("$context.error.messageString", json.dumps(message)),
            ("$context.error.validationErrorString", json.dumps(validation)[1:-1]),
            ("$context.requestId", request_id),
        ):
            body = body.replace(variable, value)
        headers = {
            name.removeprefix("gatewayresponse.header.").lower(): value.strip("'")
            for name, value in chosen["responseParameters"].items()
        }
        return Response(int(chosen.get("statusCode", status)), headers, body.encode())

    def _read(self, answered: Any, request_id: str) -> Response:
        """The function's answer, or the 502 that API Gateway makes of one that it cannot read."""
        is_right = (
            isinstance(answered, dict)
            and isinstance(answered.get("statusCode"), int)
            and isinstance(answered.get("body", ""), str)
            and all(isinstance(value, str) for value in answered.get("headers", {}).values())
        )
        if not is_right:
            return self._refuse("INTEGRATION_FAILURE", 502, "Internal server error", request_id)
        headers = {name.lower(): value for name, value in answered.get("headers", {}).items()}
        return Response(answered["statusCode"], headers, answered.get("body", "").encode())
