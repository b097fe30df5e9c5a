"""An HTTP request as API Gateway's REST proxy integration hands it to a function: all the fields, nulls included.

Source: "Input format of a Lambda function for proxy integration", API Gateway developer guide.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

STAGE = "live"


def decode_query(raw: str) -> dict[str, list[str]]:
    """Every value of each name. API Gateway splits at `;` as well as at `&`, and keeps names' case."""
    found: dict[str, list[str]] = {}
    for part in re.split("[&;]", raw):
        if part:
            name, _, value = part.partition("=")
            found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return found


def make_event(
    method: str,
    resource: str,
    path: str,
    *,
    raw_query: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    path_parameters: Mapping[str, str] | None = None,
    request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
    is_binary: bool = False,
) -> dict[str, Any]:
    """The event. `is_binary`: the API takes `*/*` for binary, so that bodies come as base64."""
    several: dict[str, list[str]] = {}
    for name, value in headers:
        several.setdefault(name, []).append(value)
    query = decode_query(raw_query)
    text = base64.b64encode(body).decode() if is_binary else body.decode("utf-8", "replace")
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in several.items()} or None,
        "multiValueHeaders": several or None,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": dict(path_parameters) if path_parameters else None,
        "stageVariables": None,
        "requestContext": {
            "resourceId": "abc123",
            "resourcePath": resource,
            "httpMethod": method,
            "extendedRequestId": "AAAAAAAAAAAAAAA=",
            "requestTime": "09/Apr/2025:12:34:56 +0000",
            "path": f"/{STAGE}{path}",
            "accountId": "111122223333",
            "protocol": "HTTP/1.1",
            "stage": STAGE,
            "domainPrefix": "abcdefghij",
            "requestTimeEpoch": 1744202096000,
            "requestId": request_id,
            "identity": {
                "cognitoIdentityPoolId": None,
                "accountId": None,
                "cognitoIdentityId": None,
                "caller": None,
                "sourceIp": "192.0.2.1",
                "principalOrgId": None,
                "accessKey": None,
                "cognitoAuthenticationType": None,
                "cognitoAuthenticationProvider": None,
                "userArn": None,
                "userAgent": "test",
                "user": None,
            },
            "domainName": "abcdefghij.execute-api.eu-west-1.amazonaws.com",
            "apiId": "abcdefghij",
        },
        "body": text if body else None,
        "isBase64Encoded": is_binary and bool(body),
    }
