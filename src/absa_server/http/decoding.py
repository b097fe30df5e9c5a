"""From bytes to text and to JSON values, with the cause named where that fails. Knows no shape of a request."""

import codecs

import orjson

from absa_server.errors import InvalidRequest


def without_byte_order_mark(body: bytes) -> bytes:
    """`body` without the mark that some Windows programs put before UTF-8; it is no part of any text."""
    return body.removeprefix(codecs.BOM_UTF8)


def decode_text(body: bytes, *, path: str) -> str:
    """The text that `body` holds in UTF-8. Raises `InvalidRequest` with the byte where it stops being UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path}: expected UTF-8, got an invalid sequence at byte {error.start}") from None


def load_json(body: bytes, *, path: str) -> object:
    """The JSON value that `body` holds. Raises `InvalidRequest` with what is malformed and where.

    NaN and Infinity, which JSON lacks, strings that are no Unicode text, and nesting beyond orjson's 1,024 levels
    are malformed, too.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        decode_text(body, path=path)  # a wrong encoding is the better explanation
        cause = error.msg + ("; a lone surrogate is no character" if "surrogate" in error.msg else "")
        where = f"line {error.lineno} column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        raise InvalidRequest(f"{path}: malformed JSON at {where}: {cause}") from None
