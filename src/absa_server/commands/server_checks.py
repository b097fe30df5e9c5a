"""What a running server must do, checked over HTTP from outside. Knows the contract, and not where the server runs."""

import http.client
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

REVIEW = "The pasta was superb, but the service was painfully slow."
JSON_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
POLL_S = 0.2
REPORT_S = 2.0


class CheckFailed(Exception):
    """The server did not do what the contract asks; the message says what was expected and what came."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, read to its end. `headers` has lower-case names."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:  # noqa: ANN401  JSON may be anything
        """The body as JSON. Raises `CheckFailed` when it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise CheckFailed(f"expected a JSON body, got {self.body[:200]!r}") from error


def send(address: str, method: str, path: str, *, document: object = None, timeout_s: float = 70.0) -> Reply:
    """The server's reply, `document` sent as JSON. Raises `CheckFailed` when there is none."""
    connection = http.client.HTTPConnection(address, timeout=timeout_s)
    try:
        body = None if document is None else json.dumps(document).encode()
        connection.request(method, path, body=body, headers=JSON_HEADERS if body else {})
        return _read(connection.getresponse())
    except (OSError, http.client.HTTPException) as error:
        raise CheckFailed(f"{method} {path} at {address}: no answer ({type(error).__name__}: {error})") from error
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse) -> Reply:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(status=response.status, body=response.read(), headers=headers)


def wait_until_ready(
    address: str, *, limit_s: float, is_alive: Callable[[], bool], say: Callable[[str], None]
) -> float:
    """Seconds until `GET /ping` answered 200. Raises `CheckFailed` after `limit_s`, or when the server has ended."""
    begin = reported = time.monotonic()
    last = "no answer yet"
    while (passed := time.monotonic() - begin) < limit_s:
        try:
            reply = send(address, "GET", "/ping", timeout_s=2.0)
            if reply.status == 200:
                return time.monotonic() - begin
            last = f"/ping answers {reply.status}"
        except CheckFailed:
            if not is_alive():
                raise CheckFailed(f"the server ended {passed:.1f} s after its start, before it was ready") from None
        if time.monotonic() - reported >= REPORT_S:
            reported = time.monotonic()
            say(f"waiting for the server, {passed:.0f} s: {last}")
        time.sleep(POLL_S)
    raise CheckFailed(f"not ready within {limit_s:.0f} s: {last}")


def check_ping(address: str) -> None:
    """`GET /ping` is 200 with an empty body."""
    reply = send(address, "GET", "/ping", timeout_s=2.0)
    if reply.status != 200 or reply.body:
        raise CheckFailed(f"GET /ping: expected 200 with an empty body, got {reply.status} with {reply.body[:200]!r}")


def check_execution_parameters(address: str) -> None:
    """`GET /execution-parameters` tells batch transform how to call this container."""
    reply = send(address, "GET", "/execution-parameters")
    expected = {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"}
    if reply.status != 200 or not expected <= set(reply.json()):
        raise CheckFailed(f"GET /execution-parameters: expected {sorted(expected)}, got {reply.status} {reply.body!r}")


def check_invocation(address: str) -> list[dict[str, Any]]:
    """The aspects found in one review, each where its offsets say."""
    reply = send(address, "POST", "/invocations", document={"text": REVIEW})
    if reply.status != 200:
        raise CheckFailed(f"POST /invocations: expected 200, got {reply.status} {reply.body[:500]!r}")
    aspects: list[dict[str, Any]] = reply.json().get("aspects", [])
    for aspect in aspects:
        if REVIEW[aspect["start"] : aspect["end"]] != aspect["term"]:
            raise CheckFailed(f"the aspect {aspect} is not what stands at its offsets in {REVIEW!r}")
    return aspects


class HeldRequest:
    """An invocation of `texts` reviews whose handling has begun, and whose body is not sent yet.

    The server answers `Expect: 100-continue` when the application asks for the body: from then on the request is in
    flight for certain, without any guess about time.
    """

    def __init__(self, address: str, *, texts: int = 32, timeout_s: float = 30.0) -> None:
        host, _, port = address.rpartition(":")
        self._texts = texts
        self._body = json.dumps({"texts": [REVIEW] * texts}).encode()
        self._socket = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s)
        head = (
            f"POST /invocations HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(self._body)}\r\nExpect: 100-continue\r\n\r\n"
        )
        self._socket.sendall(head.encode())
        if not (line := self._socket.recv(65536)).startswith(b"HTTP/1.1 100"):
            raise CheckFailed(f"POST /invocations: expected 100 Continue, got {line[:200]!r}")

    def finish(self) -> None:
        """Send the body and read the answer. Raises `CheckFailed` unless every text was answered."""
        try:
            self._socket.sendall(self._body)
            response = http.client.HTTPResponse(self._socket, method="POST")
            response.begin()
            reply = _read(response)
        except (OSError, http.client.HTTPException) as error:
            raise CheckFailed(f"the request in flight was not answered ({type(error).__name__}: {error})") from error
        finally:
            self.close()
        if reply.status != 200 or len(reply.json().get("results", [])) != self._texts:
            raise CheckFailed(f"the request in flight: expected {self._texts} results, got {reply.status}")

    def close(self) -> None:
        """Give the request up."""
        self._socket.close()
