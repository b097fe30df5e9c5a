"""Analyses to the bytes of an answer: JSON, JSON Lines or CSV, in the request's shape. Knows no model.

Every result is encoded by itself: one call for a large answer would hold Python's lock, and `/ping`, for its length.
"""

import csv
import io
from collections.abc import Callable, Sequence

import orjson

from absa_server.errors import AbsaError
from absa_server.http.error_bodies import error_body
from absa_server.http.media_types import CSV, JSON
from absa_server.http.offset_units import Utf16Index
from absa_server.http.parameters import DEFAULTS, changed_parameters
from absa_server.http.records import RecordError
from absa_server.http.requests import ParsedRequest
from absa_server.types import Analysis, Aspect, Parameters, Record, RecordId

Result = Analysis | RecordError | AbsaError
_DIGITS = 4


def render(
    results: Sequence[Result],
    request: ParsedRequest,
    *,
    media_type: str,
    text_by_default: bool,
    repeat_parameters: bool,
) -> bytes:
    """The answer's body: `results`, one for each of the request's records and in their order.

    `media_type` is what `negotiate` chose. `text_by_default` (an aspect-only artifact) returns the text unless told
    otherwise; `repeat_parameters` tells the next container of a pipeline what this one was asked for.
    """
    if media_type == CSV:
        return _csv(results, request)
    is_list = media_type == JSON and request.shape != "single" and not request.is_by_line
    # What stands once beside the list need not stand in each of its results.
    base = request.parameters if is_list else DEFAULTS
    parts = [
        orjson.dumps(
            result_fields(result, record, base, text_by_default=text_by_default, repeat_parameters=repeat_parameters)
        )
        for result, record in zip(results, request.records, strict=True)
    ]
    if is_list:
        return _list(parts, changed_parameters(request.parameters) if repeat_parameters else {})
    return parts[0] if media_type == JSON and not request.is_by_line else b"".join(part + b"\n" for part in parts)


def render_line(
    result: Result, record: Record | RecordError, *, text_by_default: bool, repeat_parameters: bool
) -> bytes:
    """One record's line of JSON Lines, its end included; see `render`."""
    fields = result_fields(
        result, record, DEFAULTS, text_by_default=text_by_default, repeat_parameters=repeat_parameters
    )
    return orjson.dumps(fields) + b"\n"


def _list(parts: Sequence[bytes], parameters: dict[str, object]) -> bytes:
    """The results in one object, joined at once: copying megabytes holds the lock, but for `join`, which frees it."""
    separated = [piece for part in parts for piece in (b",", part)][1:]
    tail = b'],"parameters":' + orjson.dumps(parameters) if parameters else b"]"
    return b"".join([b'{"results":[', *separated, tail, b"}"])


def result_fields(
    result: Result, record: Record | RecordError, base: Parameters, *, text_by_default: bool, repeat_parameters: bool
) -> dict[str, object]:
    """One text's answer as it is written in JSON, its keys in the order they are read in."""
    fields: dict[str, object] = {} if record.id is None else {"id": record.id}
    if isinstance(record, RecordError):
        return fields | {"error": _error(record)}
    if not isinstance(result, Analysis):
        return fields | {"error": _error(result)}
    if _has_text(record.parameters, text_by_default=text_by_default):
        fields["text"] = record.text
    fields |= {"aspects": _aspects(result, record), "truncated": result.truncated}
    if repeat_parameters and (repeated := changed_parameters(record.parameters, base=base)):
        fields["parameters"] = repeated
    return fields


def _has_text(parameters: Parameters, *, text_by_default: bool) -> bool:
    if parameters.return_text is None:
        return text_by_default
    # An aspect-only container asked for the whole chain is its first half: whoever asked not to see the text again
    # asked the second half, too, which cannot rate an aspect without it.
    return parameters.return_text or (text_by_default and parameters.mode == "chain")


def _error(error: RecordError | AbsaError) -> dict[str, object]:
    if isinstance(error, RecordError):
        return {"code": error.code, "type": error.type, "message": error.message}
    return error_body(error)


def _aspects(analysis: Analysis, record: Record) -> list[dict[str, object]]:
    """The aspects, their offsets in the unit that the record asked for."""
    in_unit = Utf16Index(record.text).to_utf16 if record.parameters.offsets == "utf16" else int
    return [_aspect(aspect, in_unit) for aspect in analysis.aspects]


def _aspect(aspect: Aspect, in_unit: Callable[[int], int]) -> dict[str, object]:
    fields: dict[str, object] = {
        "term": aspect.term,
        "start": None if aspect.start is None else in_unit(aspect.start),
        "end": None if aspect.end is None else in_unit(aspect.end),
        "score": _rounded(aspect.score),
    }
    if aspect.category is not None:
        fields["category"] = aspect.category
    if aspect.polarity is not None:
        fields["polarity"] = aspect.polarity
    if aspect.label is not None:
        fields["label"] = aspect.label
    if aspect.polarity is not None:
        fields["polarity_score"] = _rounded(aspect.polarity_score)
    if aspect.scores is not None:
        fields["scores"] = {name: _rounded(score) for name, score in aspect.scores.items()}
    return fields


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(float(score), _DIGITS)


def _csv(results: Sequence[Result], request: ParsedRequest) -> bytes:
    """One row a record: its id, where any record has one, and its aspects as one JSON column; no header."""
    has_ids = request.has_ids
    if has_ids is None:
        has_ids = any(record.id is not None for record in request.records)
    page = io.StringIO(newline="")
    writer = csv.writer(page, lineterminator="\n")
    for result, record in zip(results, request.records, strict=True):
        cell = orjson.dumps(_cell(result, record)).decode()
        writer.writerow([_id_cell(record.id), cell] if has_ids else [cell])
    return page.getvalue().encode()


def _cell(result: Result, record: Record | RecordError) -> object:
    if isinstance(record, RecordError):
        return {"error": _error(record)}
    return _aspects(result, record) if isinstance(result, Analysis) else {"error": _error(result)}


def _id_cell(record_id: RecordId) -> str:
    if record_id is None:
        return ""
    return record_id if isinstance(record_id, str) else orjson.dumps(record_id).decode()
