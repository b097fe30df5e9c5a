"""Answers held against infra/openapi.yaml: is the status documented for the route, and does the body fit its schema?"""

import json
import re
from typing import Any

from .gateway import ANY, read_openapi, schema_validator

PROBLEM_JSON = "application/problem+json"


class Conformance:
    """Remembers which documented answers it has seen."""

    def __init__(self) -> None:
        self.document = read_openapi()
        self._seen: set[tuple[str, str, str]] = set()

    def documented(self) -> set[tuple[str, str, str]]:
        """(path, method, status) of every answer in the document."""
        return {
            (path, method, status)
            for path, operations in self.document["paths"].items()
            for method, operation in operations.items()
            for status in operation["responses"]
        }

    def unseen(self) -> list[tuple[str, str, str]]:
        """What is documented and was not answered."""
        return sorted(self.documented() - self._seen)

    def complaints(self, method: str, path: str, status: int, headers: dict[str, str], body: bytes) -> list[str]:
        """What is wrong with an answer; `headers` by lower-case names."""
        resource = self._resource(path.partition("?")[0])
        operations = self.document["paths"][resource]
        chosen = method.lower() if method.lower() in operations else ANY
        told = operations[chosen]["responses"].get(str(status))
        if told is None:
            return [f"{method} {resource}: {status} is not documented"]
        self._seen.add((resource, chosen, str(status)))
        return [*self._of_headers(told, headers, status), *self._of_body(told, headers, status, body)]

    def _of_headers(self, told: dict[str, Any], headers: dict[str, str], status: int) -> list[str]:
        return [f"{status}: no {name}" for name in told.get("headers", {}) if name.lower() not in headers]

    def _of_body(self, told: dict[str, Any], headers: dict[str, str], status: int, body: bytes) -> list[str]:
        if "content" not in told:
            return [f"{status}: a body of {len(body)} bytes"] if body else []
        (media_type,) = told["content"]
        if headers.get("content-type") != media_type:
            return [f"{status}: expected {media_type}, got {headers.get('content-type')}"]
        value = json.loads(body)
        validator = schema_validator(self.document, told["content"][media_type]["schema"])
        found = [error.message[:200] for error in validator.iter_errors(value)]
        if media_type == PROBLEM_JSON and value.get("status", status) != status:
            found.append(f"status {value['status']} in the body of a {status}")
        return found

    def _resource(self, path: str) -> str:
        fixed = [one for one in self.document["paths"] if "{proxy+}" not in one]
        patterns = {one: re.sub(r"\{\w+\}", "[^/]+", one) for one in fixed}
        return next((one for one, pattern in patterns.items() if re.fullmatch(pattern, path)), "/{proxy+}")
