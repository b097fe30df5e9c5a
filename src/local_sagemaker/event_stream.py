"""Bytes to messages of AWS's event stream, the framing of a streamed answer. Knows no HTTP.

A message is total length, headers' length, CRC-32 of these, headers, payload, CRC-32 of all before it; integers are
big-endian. A header is its name's length, name, type 7 (string), value's length, value. Source: the Smithy
specification, "Amazon Event Stream".
"""

import json
import struct
import zlib
from collections.abc import Mapping

CONTENT_TYPE = "application/vnd.amazon.eventstream"
# Larger answers of a container are passed on in several parts; clients may not rely on where one ends.
PART_BYTES = 64 * 1024

_STRING = 7
_PRELUDE = struct.Struct(">II")
_CRC = struct.Struct(">I")


def payload_part(chunk: bytes) -> bytes:
    """A `PayloadPart` event that carries `chunk`."""
    headers = {":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"}
    return message(headers, chunk)


def exception(name: str, fields: Mapping[str, object]) -> bytes:
    """An exception event, such as `ModelStreamError`, which ends the stream."""
    headers = {":message-type": "exception", ":exception-type": name, ":content-type": "application/json"}
    return message(headers, json.dumps(fields).encode())


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One framed message. Header values are strings of at most 65,535 bytes, names of at most 255."""
    encoded = b"".join(_header(name, value) for name, value in headers.items())
    total = _PRELUDE.size + _CRC.size + len(encoded) + len(payload) + _CRC.size
    prelude = _PRELUDE.pack(total, len(encoded))
    framed = prelude + _CRC.pack(zlib.crc32(prelude)) + encoded + payload
    return framed + _CRC.pack(zlib.crc32(framed))


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack(">B", len(key)) + key + struct.pack(">BH", _STRING, len(text)) + text
