"""InvokeEndpointWithResponseStream over ASGI: a container's bytes as events, as they come. Knows no routing.

A plain ASGI application and no response object: all of one call happens in one task, which its time limit needs, and a
client that leaves ends the container's call, too.
"""

import asyncio
from collections.abc import Iterator

import httpx
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from local_sagemaker import event_stream
from local_sagemaker.endpoint import Endpoint
from local_sagemaker.errors import ModelError
from local_sagemaker.headers import STREAM_CONTENT_TYPE, Call, for_client, read_call
from local_sagemaker.hosting import Platform
from local_sagemaker.request_body import read_body


class StreamingCalls:
    """The ASGI application of the streaming call."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request. Raises `ApiError` before the first byte; later failures are told in the stream."""
        endpoint = self._platform.endpoint(scope["path_params"]["name"])
        request = Request(scope, receive)
        body = await read_body(request, max_bytes=self._platform.limits.body_bytes)
        work = asyncio.create_task(_answer(endpoint, read_call(request.headers), body, send))
        left = asyncio.create_task(_wait_for_leaving(receive))
        try:
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left.cancel()
            work.cancel()  # nothing happens to one that is done
            await asyncio.gather(work, left, return_exceptions=True)
        if not work.cancelled():
            work.result()


async def _wait_for_leaving(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(endpoint: Endpoint, call: Call, body: bytes, send: Send) -> None:
    has_begun = False
    try:
        async with endpoint.stream(call, body) as (response, variant):
            await _send_start(send, for_client(response.headers, variant=variant))
            has_begun = True
            async for chunk in response.aiter_raw():
                for part in _parts(chunk):
                    await _send_part(send, event_stream.payload_part(part))
    except ModelError as error:  # only a call's time runs out after the first byte
        if not has_begun:
            raise
        await _send_part(send, _stream_error(str(error), "ModelInvocationTimeExceeded"))
    except httpx.HTTPError as error:
        await _send_part(send, _stream_error(repr(error), "StreamBroken"))
    await send({"type": "http.response.body"})


def _parts(chunk: bytes) -> Iterator[bytes]:
    for start in range(0, len(chunk), event_stream.PART_BYTES):
        yield chunk[start : start + event_stream.PART_BYTES]


def _stream_error(message: str, code: str) -> bytes:
    return event_stream.exception("ModelStreamError", {"Message": message, "ErrorCode": code})


async def _send_start(send: Send, headers: dict[str, str]) -> None:
    headers[STREAM_CONTENT_TYPE] = headers.pop("content-type", "application/octet-stream")
    headers["content-type"] = event_stream.CONTENT_TYPE
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": encoded})


async def _send_part(send: Send, event: bytes) -> None:
    await send({"type": "http.response.body", "body": event, "more_body": True})
