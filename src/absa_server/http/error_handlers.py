"""Every error as the one error body: `code`, `type`, `message`, `request_id`, and `retry_after_s` on a refusal.

The framework's own errors (404, 405) take the same form; its `{"detail": …}` never appears, and no traceback leaves.
"""

import logging
from http import HTTPStatus

import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from absa_server.errors import AbsaError
from absa_server.http.error_bodies import error_body
from absa_server.http.media_types import JSON
from absa_server.http.middleware import request_id_of

logger = logging.getLogger(__name__)


def add_error_handlers(app: FastAPI) -> None:
    """Registers the handlers; unforeseen exceptions are the middleware's, which is outermost."""
    app.add_exception_handler(AbsaError, _answer_absa_error)
    app.add_exception_handler(HTTPException, _answer_http_exception)


def error_response(fields: dict[str, object], *, request_id: str, headers: dict[str, str] | None = None) -> Response:
    """`fields` (code, type, message and what else is known) as a response."""
    body = orjson.dumps(fields | {"request_id": request_id})
    return Response(body, status_code=int(str(fields["code"])), media_type=JSON, headers=headers)


async def _answer_absa_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, AbsaError):  # for the type checker: starlette hands over what was registered
        raise error
    return absa_error_response(request, error)


def absa_error_response(request: Request, error: AbsaError) -> Response:
    """The response to a request that ended with `error`; what is our fault is logged."""
    fields = error_body(error)
    request_id = request_id_of(request.scope)
    if int(str(fields["code"])) >= 500:
        details = {"request_id": request_id, "type": fields["type"], "message_to_caller": error.message}
        logger.warning("request_failed", extra=details, exc_info=error.__cause__ and error)
    retry_after_s = getattr(error, "retry_after_s", None)
    headers = None
    if retry_after_s is not None:
        fields["retry_after_s"] = retry_after_s
        headers = {"Retry-After": str(retry_after_s)}
    return error_response(fields, request_id=request_id, headers=headers)


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # for the type checker, as above
        raise error
    status = HTTPStatus(error.status_code)
    fields: dict[str, object] = {
        "code": error.status_code,
        "type": status.phrase.title().replace(" ", ""),
        "message": _explain(request, status),
    }
    headers = dict(error.headers) if error.headers else None
    return error_response(fields, request_id=request_id_of(request.scope), headers=headers)


def _explain(request: Request, status: HTTPStatus) -> str:
    if status is HTTPStatus.NOT_FOUND:
        return f"{request.url.path}: no such path; there are /ping, /invocations, /execution-parameters and /metrics"
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method} is not allowed on {request.url.path}"
    return status.phrase
