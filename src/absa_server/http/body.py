"""What arrives from the client: a body, under a limit that holds while it is read, and the news that nobody waits.

Knows nothing of a body's content.
"""

import asyncio
from contextlib import suppress
from types import TracebackType

from starlette.requests import ClientDisconnect, Request

from absa_server.errors import ClientLeft, PayloadTooLarge, UnsupportedMediaType

# A body over the limit is read on, and thrown away, up to this many times the limit: a client that is still writing
# when the connection closes sees a broken pipe, and never the answer that names the limit.
_DRAINED_LIMITS = 4
# How late it may be noticed that a client has left. Higher: fewer requests pay for the watching.
WATCH_AFTER_S = 0.1


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


class EndedByDisconnect:
    """Cancels what is awaited inside when the client goes away: the server cancels nothing by itself.

    Raises `ClientLeft` then. The body must have been read. The watching begins after `WATCH_AFTER_S`: most requests are
    answered by then, and a task for each of them would cost more than the few left behind.
    """

    def __init__(self, request: Request, *, after_s: float = WATCH_AFTER_S) -> None:
        self._request = request
        self._after_s = after_s
        self._worker: asyncio.Task[object] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._has_left = False

    async def __aenter__(self) -> None:
        self._worker = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(self._after_s, self._begin)

    def _begin(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._has_left = True
        if self._worker is not None:
            self._worker.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher
        if kind is not None and issubclass(kind, asyncio.CancelledError) and self._is_ours():
            raise ClientLeft("the client left before its answer was ready") from None

    def _is_ours(self) -> bool:
        """Whether the cancellation under way was asked for by the watcher, and by nobody else."""
        return self._has_left and (self._worker is None or self._worker.uncancel() == 0)
