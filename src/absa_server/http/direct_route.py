"""The way of `POST /invocations` around the framework's router, which costs more than all else that the front does.

The router still knows the path: for its description, and for methods that are not allowed there.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from absa_server.errors import AbsaError
from absa_server.http.error_handlers import absa_error_response


@dataclass(frozen=True, slots=True)
class _Route:
    """What the middleware asks of a route: its name in metrics and logs."""

    path: str


class DirectRoute:
    """Answers POST requests to `path` by `answer`; whatever else comes passes on to `app`."""

    def __init__(self, app: ASGIApp, *, path: str, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._app = app
        self._route = _Route(path)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. Errors of ours become their response, as the router's own handlers would make it."""
        if scope["type"] != "http" or scope["path"] != self._route.path or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except AbsaError as error:
            response = absa_error_response(request, error)
        await response(scope, receive, send)
