"""A request's body and headers to records and parameters. Pure, so that a child process can do it as well.

Knows which shapes are read, not how they arrive. A fault of the body as a whole raises; a fault of one record of
several stays in its place, and the others are answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from absa_server.errors import InvalidRequest
from absa_server.http.csv_rows import parse_row_lines, parse_rows
from absa_server.http.decoding import decode_text, load_json, without_byte_order_mark
from absa_server.http.limits import Limits
from absa_server.http.media_types import CSV, JSON, JSON_LINES, parse_media_type, request_type
from absa_server.http.parameters import DEFAULTS, parse_custom_attributes, parse_parameters
from absa_server.http.records import RecordError, parse_record, passable_id
from absa_server.http.wording import Place, kind_of, one_of, unknown_name
from absa_server.types import Parameters, Record, RecordId

__all__ = ["Limits", "ParsedRequest", "RecordError", "Shape", "parse_request"]

Shape = Literal["single", "list", "lines"]
_CONTAINERS = ("text", "texts", "inputs", "instances", "results")


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """What was asked. The answer follows `shape`, not the number of records: a list of one is a list.

    `parameters` are those of the request as a whole; a record's own may differ. `media_type` is the canonical type
    that the body was read as. `is_by_line`: a batch transform job's, which has a line for each record in whatever type.
    `has_ids`: whether an answer in CSV has the column of ids; None: where any record has one.
    """

    shape: Shape
    records: tuple[Record | RecordError, ...]
    parameters: Parameters
    media_type: str
    is_by_line: bool = False
    has_ids: bool | None = None


def parse_request(
    body: bytes,
    *,
    content_type: str | None,
    custom_attributes: str | None,
    limits: Limits,
    is_batch: bool = False,
    first_line: int = 1,
) -> ParsedRequest:
    """The records of `body` in order, each with the parameters that hold for it.

    `custom_attributes` is not read for a JSON object: that has a place for parameters. Raises `UnsupportedMediaType`
    and `InvalidRequest` for a malformed body, a wrong shape, unknown names, too many records, and a bad single record.

    `is_batch`: the body is lines cut from an object by a batch transform job, which one refused request would fail.
    Whatever is in the body then stays in its place as an error, a row of CSV ends with its line, and JSON of several
    lines is read as JSON Lines. `first_line` is the number of the first line, where they are a part of a larger body.
    """
    media_type = request_type(content_type)
    if is_batch:
        return _parse_batch(body, media_type, custom_attributes, limits=limits, first_line=first_line)
    body = without_byte_order_mark(body)
    if not body:
        raise InvalidRequest(f"body: expected {media_type}, got an empty body")
    if media_type == JSON:
        return _parse_json(load_json(body, path="body"), custom_attributes, limits=limits)
    parameters = parse_custom_attributes(custom_attributes)
    if media_type == JSON_LINES:
        return ParsedRequest("lines", _parse_lines(body, parameters=parameters, limits=limits), parameters, JSON_LINES)
    text = decode_text(body, path="body")
    if media_type == CSV:
        header = parse_media_type(content_type or "").params.get("header")
        return ParsedRequest(
            "list", parse_rows(text, header=header, defaults=parameters, limits=limits), parameters, CSV
        )
    return _single(text, place=Place(), parameters=parameters, media_type=media_type, limits=limits)


def _parse_batch(
    body: bytes, media_type: str, custom_attributes: str | None, *, limits: Limits, first_line: int
) -> ParsedRequest:
    parameters = parse_custom_attributes(custom_attributes)  # said once for the whole job: a fault of it fails the job
    if media_type == JSON_LINES:
        records = _parse_lines(body, parameters=parameters, limits=limits, first_line=first_line)
        return ParsedRequest("lines", records, parameters, JSON_LINES, is_by_line=True)
    if media_type == CSV:
        records = parse_row_lines(body, defaults=parameters, limits=limits, first_row=first_line)
        return ParsedRequest("list", records, parameters, CSV, is_by_line=True)
    try:
        return parse_request(body, content_type=media_type, custom_attributes=custom_attributes, limits=limits)
    except InvalidRequest as error:
        if media_type == JSON and b"\n" in body.removesuffix(b"\n"):
            return _parse_batch(body, JSON_LINES, custom_attributes, limits=limits, first_line=first_line)
        return ParsedRequest("single", (RecordError(_id_in(body, media_type), error.message),), parameters, media_type)


def _id_in(body: bytes, media_type: str) -> RecordId:
    """The id of a body that is one refused record."""
    try:
        return passable_id(load_json(body, path="body")) if media_type == JSON else None
    except InvalidRequest:
        return None


def _parse_json(value: object, custom_attributes: str | None, *, limits: Limits) -> ParsedRequest:
    if isinstance(value, str):
        return _single(value, place=Place(), parameters=parse_custom_attributes(custom_attributes), limits=limits)
    if isinstance(value, list):
        return _list(value, name="body", parameters=parse_custom_attributes(custom_attributes), limits=limits)
    if isinstance(value, dict):
        return _parse_object(value, limits=limits)
    raise InvalidRequest(f"body: expected an object, a list or a string, got {kind_of(value)}")


def _parse_object(fields: Mapping[str, object], *, limits: Limits) -> ParsedRequest:
    name = _container(fields)
    content = fields[name]
    if name == "text" or (name == "inputs" and isinstance(content, str)):
        return _single(fields, place=Place(), limits=limits)
    for key in fields:
        if key not in (name, "parameters"):
            raise InvalidRequest(f"body: {unknown_name(key, (name, 'parameters'))}")
    parameters = parse_parameters(fields.get("parameters"), base=DEFAULTS, path="parameters")
    if name == "inputs" and isinstance(content, dict):
        return _single(content, place=Place(name), parameters=parameters, limits=limits)
    if not isinstance(content, list):
        raise InvalidRequest(f"{name}: expected a list, got {kind_of(content)}")
    return _list(content, name=name, parameters=parameters, limits=limits)


def _container(fields: Mapping[str, object]) -> str:
    """The one field that holds the texts."""
    names = [name for name in _CONTAINERS if name in fields]
    if len(names) == 1:
        return names[0]
    if names:
        raise InvalidRequest(f"body: expected only one of {one_of(_CONTAINERS)}, got {' and '.join(names)}")
    for key in fields:
        if key != "parameters":
            raise InvalidRequest(f"body: {unknown_name(key, _CONTAINERS)}")
    raise InvalidRequest(f"body: expected {one_of(_CONTAINERS)}, got none of them")


def _single(
    value: object, *, place: Place, limits: Limits, parameters: Parameters = DEFAULTS, media_type: str = JSON
) -> ParsedRequest:
    record = parse_record(value, place=place, defaults=parameters, limits=limits)
    if isinstance(record, RecordError):
        raise InvalidRequest(record.message)
    return ParsedRequest("single", (record,), record.parameters, media_type)


def _list(values: list[object], *, name: str, parameters: Parameters, limits: Limits) -> ParsedRequest:
    limits.check_records(len(values), path=name)
    records = (
        _one_of_several(value, place=Place(f"{name}[{i}]"), parameters=parameters, limits=limits)
        for i, value in enumerate(values)
    )
    return ParsedRequest("list", tuple(records), parameters, JSON)


def _parse_lines(
    body: bytes, *, parameters: Parameters, limits: Limits, first_line: int = 1
) -> tuple[Record | RecordError, ...]:
    """One record a line. A batch transform job expects an answer to each, so a blank line is an error in its place."""
    body = body.removesuffix(b"\n")
    limits.check_records(body.count(b"\n") + 1, path="body")
    lines = enumerate(body.split(b"\n"), start=first_line)
    return tuple(_parse_line(line, number=number, parameters=parameters, limits=limits) for number, line in lines)


def _parse_line(line: bytes, *, number: int, parameters: Parameters, limits: Limits) -> Record | RecordError:
    place = Place(f"line {number}", separator=": ")
    if not line.strip():
        return RecordError(None, f"{place}: expected a record or a string, got a blank line")
    try:
        value = load_json(line, path=str(place))
    except InvalidRequest as error:
        return RecordError(None, error.message)
    return _one_of_several(value, place=place, parameters=parameters, limits=limits)


def _one_of_several(value: object, *, place: Place, parameters: Parameters, limits: Limits) -> Record | RecordError:
    """As `parse_record`; a model of its own is refused, because all records of a request are answered by one."""
    record = parse_record(value, place=place, defaults=parameters, limits=limits)
    if isinstance(record, Record) and record.parameters.model_names != parameters.model_names:
        message = f"{place.field('parameters')}: expected no model of its own, since one request is answered by one"
        return RecordError(record.id, f"{message}; name it for the whole request, or send one request for each")
    return record
