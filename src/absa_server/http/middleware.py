"""Around every request: an id, a clock, a metric, a log line, and the last net for exceptions nobody foresaw.

The id is the caller's own Inference-Id where it sent one, so that its records, our log and kept results can be joined.

Pure ASGI: starlette's BaseHTTPMiddleware costs a task a request and breaks cancellation.
"""

import asyncio
import logging
import random
import time

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from absa_server.http.sagemaker_headers import CUSTOM_ATTRIBUTES, read_headers
from absa_server.telemetry.line_handler import REQUESTS
from absa_server.telemetry.prometheus import Metrics

logger = logging.getLogger(REQUESTS)

REQUEST_ID_HEADER = b"x-request-id"
# Asked for every few seconds by platform and collectors: a log line for each would bury the others.
_QUIET_PATHS = {"/ping", "/metrics"}
_UNKNOWN_ROUTE = "unknown"

_CRASHED: dict[str, object] = {
    "code": 500,
    "type": "InternalServerError",
    "message": "the server failed; its log has the cause under this request_id",
}
_STOPPING: dict[str, object] = {
    "code": 503,
    "type": "ServiceUnavailable",
    "message": "the server is stopping and this request took longer than it may still take; send it again",
}


def request_id_of(scope: Scope) -> str:
    """The id that this middleware gave the request."""
    return str(scope["absa_request_id"])


def inference_id_of(scope: Scope) -> str | None:
    """The caller's own id for the request, which is then the request's id as well."""
    found: str | None = scope["absa_inference_id"]
    return found


def sender_of(scope: Scope) -> Send:
    """What sends the request's answer, for one that is written while it is made."""
    send: Send = scope["absa_send"]
    return send


def note_status(scope: Scope, status: int) -> None:
    """What became of the request, for log and metrics, where that is not the status that was sent: a stream's end."""
    scope["absa_status"] = status


class RequestMiddleware:
    """The outermost of the application's own layers."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        # Seeded by the system once: asking it for each request would give up Python's lock and wait to get it back.
        self._random = random.Random()  # noqa: S311  ids tell requests apart and keep nothing secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection event; anything but HTTP passes untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = read_headers(scope["headers"])
        request_id = scope["absa_request_id"] = given.inference_id or f"{self._random.getrandbits(128):032x}"
        scope["absa_inference_id"] = given.inference_id
        own = [(REQUEST_ID_HEADER, request_id.encode())]
        if given.custom_attributes is not None:
            # "If your code does not set this value in the response, an empty value is returned" to the caller.
            own.append((CUSTOM_ATTRIBUTES, given.custom_attributes))
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", []).extend(own)
            await send(message)

        scope["absa_send"] = send_with_id
        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:
            # The server is stopping and this request outlasted its drain time.
            if status == 0:
                await _send_error(send_with_id, request_id, _STOPPING)
            raise
        except Exception:
            logger.exception("request_crashed", extra={"request_id": request_id, "path": scope["path"]})
            if status == 0:
                await _send_error(send_with_id, request_id, _CRASHED)
        finally:
            self._record(scope, scope.get("absa_status", status), time.perf_counter() - started, request_id)

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", _UNKNOWN_ROUTE)
        self._metrics.record_request(route, status, seconds)
        if scope["path"] not in _QUIET_PATHS:
            logger.info(
                "request",
                extra={
                    "request_id": request_id,
                    "method": scope["method"],
                    "route": route,
                    "status": status,
                    "milliseconds": round(seconds * 1000, 1),
                },
            )


async def _send_error(send: Send, request_id: str, error: dict[str, object]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": error["code"], "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(error | {"request_id": request_id})})
