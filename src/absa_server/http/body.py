"""What arrives from the client: a body, under a limit that holds while it is read, and the news that nobody waits.

Knows nothing of a body's content.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.requests import ClientDisconnect, Request

from absa_server.errors import ClientLeft, PayloadTooLarge, UnsupportedMediaType

# A body over the limit is read on, and thrown away, up to this many times the limit: a client that is still writing
# when the connection closes sees a broken pipe, and never the answer that names the limit.
_DRAINED_LIMITS = 4


async def read_body(request: Request, *, max_bytes: int) -> list[bytes]:
    """The whole body, in the pieces in which it arrived. Raises `PayloadTooLarge` when there is too much of it."""
    check_encoding(request)
    declared = request.headers.get("content-length", "")
    chunks: list[bytes] = []
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received <= max_bytes:
                chunks.append(chunk)
                continue
            chunks.clear()
            if received > _DRAINED_LIMITS * max_bytes:
                break
    except ClientDisconnect as error:
        raise ClientLeft(f"the client left after {received} bytes of its body") from error
    if received > max_bytes:
        size = f"{int(declared)} bytes" if declared.isdigit() else f"more than {max_bytes} bytes"
        raise PayloadTooLarge(
            f"body: expected at most {max_bytes} bytes (SAGEMAKER_MAX_PAYLOAD_IN_MB), got {size}; send fewer records"
        )
    return chunks


def check_encoding(request: Request) -> None:
    """Refuse a compressed body. Raises `UnsupportedMediaType`."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise UnsupportedMediaType(f"Content-Encoding: expected none, got {encoding!r}; send the body uncompressed")


@asynccontextmanager
async def ended_by_disconnect(request: Request) -> AsyncIterator[None]:
    """Cancels what is awaited inside when the client goes away: the server cancels nothing by itself.

    Raises `ClientLeft` then. The body must have been read.
    """
    worker = asyncio.current_task()
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        has_left = True
        if worker is not None:
            worker.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not has_left or (worker is not None and worker.uncancel() > 0):
            raise
        raise ClientLeft("the client left before its answer was ready") from None
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
