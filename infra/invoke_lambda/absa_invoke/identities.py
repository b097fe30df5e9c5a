"""What a call is known by on its way: the id of the inference, and what the containers log beside it."""

import re
from dataclasses import dataclass

from absa_invoke.events import Call
from absa_invoke.problems import INVALID_REQUEST, Problem

_KEY = re.compile(r"[A-Za-z0-9._~:-]{1,64}")
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Identity:
    """`custom_attributes` holds no `=`: the containers read `key=value` there as parameters."""

    inference_id: str
    custom_attributes: str


def read_identity(call: Call) -> Identity:
    """The call's own. An Idempotency-Key is the inference's id: a call sent twice keeps its result under one name.

    Quotes around the key, which the header's draft asks for, are taken off. Raises `Problem` for another key.
    """
    key = call.headers.get("idempotency-key")
    if key is not None:
        key = key[1:-1] if len(key) > 2 and key[0] == key[-1] == '"' else key
        if not _KEY.fullmatch(key):
            raise Problem(INVALID_REQUEST, "Idempotency-Key: expected 1 to 64 letters, digits or any of . _ ~ : -")
    trace = call.headers.get("traceparent", "")
    told = f"{call.request_id} {trace}" if _TRACE_PARENT.fullmatch(trace) else call.request_id
    return Identity(inference_id=key or call.request_id[:64], custom_attributes=told)
