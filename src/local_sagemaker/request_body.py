"""A client's body, read under a limit. Knows no API call."""

from starlette.requests import Request

from local_sagemaker.errors import ValidationError


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """The whole body. Raises `ValidationError` when it is larger than the call takes, after reading all of it.

    A client that is still writing when it is answered would see a broken pipe instead of the reason.
    """
    kept = bytearray()
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received <= max_bytes:
            kept += chunk
    if received > max_bytes:
        raise ValidationError(f"Body: expected at most {max_bytes} bytes, got {received}")
    return bytes(kept)
