"""One record of a request, in whatever format it came, to `types.Record`; or why that is not possible.

A record is a string, or an object with `text` and perhaps `id`, `aspects`, `truncated`, `parameters`; or an earlier
answer's `error`, which stays in its place. Knows no body and no format: JSON, lines and rows all end up here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from absa_server.errors import InvalidRequest
from absa_server.http.given_aspects import is_blank, parse_aspects
from absa_server.http.limits import Limits
from absa_server.http.parameters import parse_parameters
from absa_server.http.wording import Place, kind_of, shown, unknown_name
from absa_server.types import Parameters, Record, RecordId

# Hugging Face's batch transform writes its lines as {"inputs": "…"}.
TEXT_NAMES = ("text", "inputs")
_KNOWN = ("id", *TEXT_NAMES, "aspects", "truncated", "parameters", "error")
# Beyond it a JSON number is read as a double that is not the number any more, so it could not pass through unchanged.
_EXACT_FLOAT = 2.0**53


@dataclass(frozen=True, slots=True)
class RecordError:
    """What stands in a record's place when it cannot be analysed; `code` is the status it would have had alone."""

    id: RecordId
    message: str
    code: int = 400
    type: str = "InvalidRequest"


def parse_record(value: object, *, place: Place, defaults: Parameters, limits: Limits) -> Record | RecordError:
    """The record that `value` describes, with `defaults` for what its own parameters leave open. Raises nothing."""
    try:
        return _parse(value, place=place, defaults=defaults, limits=limits)
    except InvalidRequest as error:
        return RecordError(passable_id(value), error.message)


def _parse(value: object, *, place: Place, defaults: Parameters, limits: Limits) -> Record | RecordError:
    if isinstance(value, dict):
        return _parse_fields(value, place=place, defaults=defaults, limits=limits)
    if isinstance(value, str):
        return Record(_text(value, path=str(place), limits=limits), parameters=defaults)
    raise InvalidRequest(f"{place}: expected a string or a record, got {kind_of(value)}")


def _parse_fields(
    fields: Mapping[str, object], *, place: Place, defaults: Parameters, limits: Limits
) -> Record | RecordError:
    for name in fields:
        if name not in _KNOWN:
            raise InvalidRequest(f"{place}: {unknown_name(name, _KNOWN)}")
    record_id = _parse_id(fields.get("id"), path=place.field("id"))
    if fields.get("error") is not None:
        return _earlier_error(fields, record_id, place=place)
    parameters = parse_parameters(fields.get("parameters"), base=defaults, path=place.field("parameters"))
    text = _text_field(fields, place=place, limits=limits)
    aspects = parse_aspects(
        fields.get("aspects"), text=text, unit=parameters.offsets, path=place.field("aspects"), limits=limits
    )
    truncated = _flag(fields.get("truncated"), path=place.field("truncated"))
    return Record(text, record_id, aspects, truncated, parameters)


def _text_field(fields: Mapping[str, object], *, place: Place, limits: Limits) -> str:
    names = [name for name in TEXT_NAMES if name in fields]
    if len(names) == 1:
        return _text(fields[names[0]], path=place.field(names[0]), limits=limits)
    if names:
        raise InvalidRequest(f"{place.field('text')}: expected text or inputs, got both")
    remedy = "; an earlier answer holds it when asked with return_text=true" if "aspects" in fields else ""
    raise InvalidRequest(f"{place.field('text')}: expected a string, got none{remedy}")


def _text(value: object, *, path: str, limits: Limits) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"{path}: expected a string, got {kind_of(value)}")
    limits.check_text(value, path=path)
    if is_blank(value):
        what = "only white space or invisible characters" if value else "an empty string"
        raise InvalidRequest(f"{path}: expected a text, got {what}")
    return value


def _parse_id(value: object, *, path: str) -> RecordId:
    if isinstance(value, float) and abs(value) >= _EXACT_FLOAT:
        raise InvalidRequest(f"{path}: expected a number that passes through exactly, got a larger one; send a string")
    if value is None or isinstance(value, str | int | float):
        return value
    raise InvalidRequest(f"{path}: expected a string, a number, a boolean or null, got {kind_of(value)}")


def passable_id(value: object) -> RecordId:
    """The id of a record that is refused for whatever reason, so that its caller recognises it."""
    try:
        return _parse_id(value.get("id"), path="id") if isinstance(value, dict) else None
    except InvalidRequest:
        return None


def _flag(value: object, *, path: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest(f"{path}: expected a boolean, got {kind_of(value)}")
    return bool(value)


def _earlier_error(fields: Mapping[str, object], record_id: RecordId, *, place: Place) -> RecordError:
    error, path = fields["error"], place.field("error")
    if any(name in fields for name in TEXT_NAMES):
        raise InvalidRequest(f"{path}: expected a text or an error, got both")
    if not isinstance(error, dict):
        raise InvalidRequest(f"{path}: expected an object, got {kind_of(error)}")
    code, kind, message = error.get("code"), error.get("type"), error.get("message")
    if not isinstance(code, int) or not 400 <= code <= 599:
        raise InvalidRequest(f"{path}.code: expected a status from 400 to 599, got {shown(code)}")
    if not isinstance(kind, str) or not isinstance(message, str):
        raise InvalidRequest(f"{path}: expected strings as type and message, got {kind_of(kind)}, {kind_of(message)}")
    return RecordError(record_id, message, code, kind)
