"""One call of the API's drill: asked, held against the document, and kept as a row of the table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.infra.invoke_lambda.conformance import Conformance
from tests.infra.invoke_lambda.function_process import FunctionProcess

Check = Callable[[httpx.Response], Any]
MAX_SHOWN_CHARS = 110


@dataclass(frozen=True, slots=True)
class Row:
    """One call, what came back, and what was wrong with that."""

    call: str
    status: int
    answer: str
    complaints: list[str]


@dataclass
class Calls:
    """Calls of one function. `rows` are those made so far."""

    name: str
    function: FunctionProcess
    conformance: Conformance
    rows: list[Row] = field(default_factory=list)

    def ask(
        self, call: str, method: str, path: str, status: int, check: Check = lambda _: True, **arguments: Any
    ) -> httpx.Response:
        """The answer; a row says whether it has the status, obeys the document, and passes `check`."""
        response = self.function.ask(method, path, **arguments)
        self._note(call, method, path, response, status, check)
        return response

    def ask_unsigned(self, call: str, method: str, path: str, status: int) -> None:
        """The same, from a caller that nobody knows."""
        response = self.function.client.request(method, f"/live{path}")
        self._note(call, method, path, response, status, lambda _: True)

    def _note(self, call: str, method: str, path: str, response: httpx.Response, status: int, check: Check) -> None:
        headers = {name.lower(): value for name, value in response.headers.items()}
        complaints = self.conformance.complaints(method, path, response.status_code, headers, response.content)
        if response.status_code != status:
            complaints.append(f"expected {status}")
        elif not check(response):
            complaints.append("not what was expected")
        retry = f"Retry-After {headers['retry-after']} · " if "retry-after" in headers else ""
        shown = f"{retry}{_said(response)}"[:MAX_SHOWN_CHARS]
        self.rows.append(Row(f"{self.name}: {call}", response.status_code, shown, complaints))


def _said(response: httpx.Response) -> str:
    if response.headers.get("content-type") == "application/problem+json":
        told = response.json()
        return f"{told['type'].rpartition(':')[2]}: {told.get('detail', told['title'])}"
    return response.text or response.headers.get("location", "")
