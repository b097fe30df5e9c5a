"""Reads a request's body under a limit that holds while it arrives, chunked or not. Knows nothing of its content."""

from starlette.requests import ClientDisconnect, Request

from absa_server.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType

# A body over the limit is read on, and thrown away, up to this many times the limit: a client that is still writing
# when the connection closes sees a broken pipe, and never the answer that names the limit.
_DRAINED_LIMITS = 4


async def read_body(request: Request, *, max_bytes: int) -> list[bytes]:
    """The whole body, in the pieces in which it arrived. Raises `PayloadTooLarge` when there is too much of it."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise UnsupportedMediaType(f"Content-Encoding: expected none, got {encoding!r}; send the body uncompressed")
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
        raise InvalidRequest(f"body: the client left after {received} bytes") from error
    if received > max_bytes:
        size = f"{int(declared)} bytes" if declared.isdigit() else f"more than {max_bytes} bytes"
        raise PayloadTooLarge(
            f"body: expected at most {max_bytes} bytes (SAGEMAKER_MAX_PAYLOAD_IN_MB), got {size}; send fewer records"
        )
    return chunks
