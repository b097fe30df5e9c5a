"""The rows of a CSV body (RFC 4180) as records: which column is which, and which rows cannot be read.

Without a header column 1 is the text and further columns are passed over, as in the exports that batch transform is
given. Below a header every row has the header's columns.
"""

import csv
import io
import sys
from collections.abc import Iterator, Mapping, Sequence

from absa_server.errors import InvalidRequest
from absa_server.http.decoding import decode_text, load_json, without_byte_order_mark
from absa_server.http.limits import Limits
from absa_server.http.records import TEXT_NAMES, RecordError, parse_record
from absa_server.http.wording import Place, one_of, shown, unknown_name
from absa_server.types import Parameters, Record

_COLUMNS = (*TEXT_NAMES, "id", "aspects")

# One setting for the whole process, 128 KiB at first. Bodies and texts have limits of their own, which name themselves.
csv.field_size_limit(sys.maxsize)


def parse_rows(
    text: str, *, header: str | None, defaults: Parameters, limits: Limits
) -> tuple[Record | RecordError, ...]:
    """A record, or what is wrong with it, for every row but a header.

    `header` is the Content-Type's parameter: `present`, `absent`, or None, which takes the first row for a header if
    it holds nothing but column names, the text's among them. Rows are counted from 1, a header included, as a
    spreadsheet does. Raises `InvalidRequest` for a bad header, for quotes that do not match, after which no row can be
    trusted, and for too many rows.
    """
    if header not in (None, "present", "absent"):
        raise InvalidRequest(f"Content-Type: header: expected present or absent, got {shown(header)}")
    rows = _numbered_rows(text)
    first = next(rows)  # the csv module makes a row even of a blank line, and an empty body does not come here
    has_header = header == "present" or (header is None and _is_header(first[1]))
    columns = _columns(first[1]) if has_header else None
    records = [] if has_header else [_parse_row(*first, columns=columns, defaults=defaults, limits=limits)]
    for number, row in rows:
        records.append(_parse_row(number, row, columns=columns, defaults=defaults, limits=limits))
        if len(records) > limits.max_records:
            limits.check_records(len(records) + sum(1 for _ in rows), path="body")
    return tuple(records)


def parse_row_lines(
    body: bytes, *, defaults: Parameters, limits: Limits, first_row: int = 1
) -> tuple[Record | RecordError, ...]:
    """A record, or what is wrong with it, for every line of a body without a header; no quote reaches beyond its line.

    So batch transform cuts an object. Raises `InvalidRequest` for too many lines.
    """
    lines = body.removesuffix(b"\n").split(b"\n")
    limits.check_records(len(lines), path="body")
    numbered = enumerate(lines, start=first_row)
    return tuple(_parse_line(number, line, defaults=defaults, limits=limits) for number, line in numbered)


def _parse_line(number: int, line: bytes, *, defaults: Parameters, limits: Limits) -> Record | RecordError:
    try:
        text = decode_text(without_byte_order_mark(line), path=f"row {number}")
        row = next(csv.reader([text.removesuffix("\r")], strict=True), [])
    except InvalidRequest as error:
        return RecordError(None, error.message)
    except csv.Error as error:
        return RecordError(None, f"row {number}: malformed CSV: {error}")
    return _parse_row(number, row, columns=None, defaults=defaults, limits=limits)


def _numbered_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    number = 0
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True), start=1):
            yield number, row
    except csv.Error as error:
        raise InvalidRequest(f"row {number + 1}: malformed CSV: {error}") from None


def _is_header(row: Sequence[str]) -> bool:
    names = [name.strip() for name in row]
    return set(names) <= set(_COLUMNS) and len(set(names)) == len(names) and any(name in TEXT_NAMES for name in names)


def _columns(row: Sequence[str]) -> Sequence[str]:
    names = [name.strip() for name in row]
    for name in names:
        if name not in _COLUMNS:
            raise InvalidRequest(f"row 1: header: {unknown_name(name, _COLUMNS)}")
        if names.count(name) > 1:
            raise InvalidRequest(f"row 1: header: expected each column once, got {name} more often")
    if sum(name in TEXT_NAMES for name in names) != 1:
        raise InvalidRequest(f"row 1: header: expected one column {one_of(TEXT_NAMES)}, got {shown(','.join(names))}")
    return names


def _parse_row(
    number: int, row: Sequence[str], *, columns: Sequence[str] | None, defaults: Parameters, limits: Limits
) -> Record | RecordError:
    place = Place(f"row {number}", separator=": ")
    if columns is None:
        only = {"text": row[0] if row else ""}
        return parse_record(only, place=place, defaults=defaults, limits=limits)
    if len(row) != len(columns):
        return RecordError(None, f"{place}: {_wrong_width(row, columns)}")
    cells = dict(zip(columns, row, strict=True))
    try:
        fields = _fields(cells, place=place)
    except InvalidRequest as error:
        return RecordError(cells.get("id") or None, error.message)
    return parse_record(fields, place=place, defaults=defaults, limits=limits)


def _fields(cells: Mapping[str, str], *, place: Place) -> dict[str, object]:
    """The record that a row's cells stand for; an empty cell of `id` or `aspects` is one that is not given."""
    fields: dict[str, object] = {name: cell for name, cell in cells.items() if cell or name in TEXT_NAMES}
    if "aspects" in fields:
        fields["aspects"] = load_json(cells["aspects"].encode(), path=place.field("aspects"))
    return fields


def _wrong_width(row: Sequence[str], columns: Sequence[str]) -> str:
    expected = f"expected {len(columns)} column{'s' if len(columns) > 1 else ''}, got {len(row)}"
    if len(row) < len(columns):
        return expected
    return f"{expected}; put quotes around a text that holds commas"
