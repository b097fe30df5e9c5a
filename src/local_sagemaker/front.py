"""The SageMaker Runtime API over HTTP: what boto3's `sagemaker-runtime` client sends, and how it is answered.

Knows paths, headers and error bodies of the API (rest-json, 2017-05-13); signatures are not checked.
"""

import logging

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_sagemaker.endpoint import Endpoint
from local_sagemaker.errors import ApiError, ValidationError
from local_sagemaker.headers import (
    INFERENCE_ID,
    PREFIX,
    for_client,
    read_call,
)
from local_sagemaker.hosting import Platform
from local_sagemaker.request_body import read_body
from local_sagemaker.streaming import StreamingCalls

logger = logging.getLogger("local_sagemaker")

_MAX_ASYNC_TIMEOUT_S = 3600


def create_front(platform: Platform) -> Starlette:
    """The ASGI application in front of a platform that has been started."""
    calls = _Calls(platform)
    path = "/endpoints/{name}"
    routes = [
        Route(f"{path}/invocations", calls.invoke, methods=["POST"]),
        Route(f"{path}/async-invocations", calls.invoke_async, methods=["POST"]),
        Route(f"{path}/invocations-response-stream", StreamingCalls(platform), methods=["POST"]),
        Route("/", calls.describe, methods=["GET"]),
    ]
    return Starlette(routes=routes, exception_handlers={ApiError: _answer_error})


async def _answer_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    logger.info("answered %s %s: %s", error.status, error.code, error)
    return JSONResponse(error.fields(), error.status, headers={"x-amzn-ErrorType": error.code})


class _Calls:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._limits = platform.limits

    async def invoke(self, request: Request) -> Response:
        """InvokeEndpoint."""
        endpoint = self._platform.endpoint(request.path_params["name"])
        if endpoint.definition.asynchronous is not None:
            raise ValidationError(f"Endpoint {endpoint.definition.name} is asynchronous; call InvokeEndpointAsync.")
        body = await read_body(request, max_bytes=self._limits.body_bytes)
        answer, variant = await endpoint.invoke(read_call(request.headers), body)
        return _with_headers(Response(answer.body, answer.status), for_client(answer.headers, variant=variant))

    async def invoke_async(self, request: Request) -> Response:
        """InvokeEndpointAsync: 202, and the places where the answer, or the failure, will be."""
        queue = self._platform.queue(request.path_params["name"])
        call = read_call(request.headers)
        location = call.headers.get(f"{PREFIX}inputlocation")
        body = await read_body(request, max_bytes=self._limits.inline_async_bytes)
        if bool(location) == bool(body):
            raise ValidationError("InvokeEndpointAsync: expected InputLocation or Body, and not both")
        accepted = queue.put(
            call,
            inference_id=call.headers.get(INFERENCE_ID),
            input_location=location,
            body=None if location else body,
            timeout_s=_async_timeout_s(call.headers.get(f"{PREFIX}invocationtimeoutseconds")),
        )
        headers = {f"{PREFIX}outputlocation": accepted.output_location}
        if accepted.failure_location is not None:
            headers[f"{PREFIX}failurelocation"] = accepted.failure_location
        return JSONResponse({"InferenceId": accepted.inference_id}, 202, headers=headers)

    async def describe(self, _: Request) -> Response:
        """Not of the API: the state of all that runs here."""
        return JSONResponse({name: _state(endpoint) for name, endpoint in self._platform.endpoints.items()})


def _state(endpoint: Endpoint) -> dict[str, object]:
    fleets = {
        name: [{"instance": one.name, "state": one.state, "in_flight": one.in_flight} for one in fleet.instances]
        for name, fleet in endpoint.fleets.items()
    }
    return {"status": endpoint.status, "variants": fleets}


def _async_timeout_s(value: str | None) -> float | None:
    if value is None:
        return None
    if not value.isdigit() or not 1 <= int(value) <= _MAX_ASYNC_TIMEOUT_S:
        raise ValidationError(f"InvocationTimeoutSeconds: expected 1 to {_MAX_ASYNC_TIMEOUT_S}, got {value}")
    return float(value)


def _with_headers(response: Response, headers: dict[str, str]) -> Response:
    response.headers.update(headers)
    return response
