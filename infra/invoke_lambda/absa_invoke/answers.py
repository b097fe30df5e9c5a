"""An answer in the form that API Gateway demands: a number, strings, a string. Anything else it makes a 502."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from absa_invoke.problems import Problem

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers; `Cache-Control` is `no-store` unless said otherwise."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def for_gateway(self, request_id: str) -> dict[str, Any]:
        """The proxy integration's response."""
        return {
            "statusCode": self.status,
            "headers": {"Cache-Control": "no-store", "X-Request-Id": request_id, **self.headers},
            "body": self.body,
            "isBase64Encoded": False,
        }


def json_answer(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """`value` as JSON."""
    return Answer(status, json.dumps(value, ensure_ascii=False), {"Content-Type": JSON} | dict(headers or {}))


def problem_answer(problem: Problem, *, request_id: str) -> Answer:
    """The problem as RFC 9457 has it."""
    body = json.dumps(problem.fields(request_id), ensure_ascii=False)
    return Answer(problem.kind.status, body, {"Content-Type": PROBLEM_JSON} | problem.headers())
