"""DataProcessing of a transform job: parts of records by path, and each answer beside its input. Pure.

Source: developer guide, "Associate Prediction Results with Input Records". Of JSONPath the steps `$`, `.name`,
`['name']`, `[0]`, `[0,2]` and `[1:3]` are played, as far as its examples need.
"""

import csv
import io
import json
import re

from local_sagemaker.errors import TransformFailed

_STEP = re.compile(
    r"\.(?P<name>[\w-]+)|\['(?P<quoted>[^']+)'\]|\[(?P<index>-?\d+(?:,-?\d+)*)\]|\[(?P<slice>-?\d*:-?\d*)\]"
)


def select(value: object, path: str) -> object:
    """What `path` names in `value`. Raises `TransformFailed` for a path that is not played, or finds nothing."""
    position = 1 if path.startswith("$") else 0
    while position < len(path):
        step = _STEP.match(path, position) if position else None
        if step is None:
            raise TransformFailed(f"{path}: expected a path like $.name, $[0], $[0,2] or $[1:], stopped at {position}")
        value = _take(value, step, path)
        position = step.end()
    return value


def _take(value: object, step: "re.Match[str]", path: str) -> object:
    name = step["name"] or step["quoted"]
    try:
        if name is not None and isinstance(value, dict):
            return value[name]
        if step["index"] is not None and isinstance(value, list):
            found = [value[int(index)] for index in step["index"].split(",")]
            return found if len(found) > 1 else found[0]
        if step["slice"] is not None and isinstance(value, list):
            return value[slice(*(int(bound) if bound else None for bound in step["slice"].split(":")))]
    except (KeyError, IndexError):
        pass
    raise TransformFailed(f"{path}: finds nothing in {str(value)[:80]!r}")


def filtered(record: bytes, path: str, *, is_csv: bool) -> bytes:
    """A line with only what `path` names."""
    if path == "$":
        return record
    return _encoded(select(_row(record) if is_csv else _value(record), path), is_csv=is_csv)


def joined(record: bytes, answer: bytes, path: str, *, is_csv: bool) -> bytes:
    """The input line with its answer, and of both what `path` names.

    CSV: the answer's columns behind the input's. JSON: `SageMakerOutput` in the input's object; an input that is none
    becomes `SageMakerInput`. A line that is no JSON is taken as a string (a guess: the platform would fail the job).
    """
    both = _joined_rows(record, answer) if is_csv else _joined_values(record, answer)
    return _encoded(select(both, path), is_csv=is_csv)


def _joined_rows(record: bytes, answer: bytes) -> list[str]:
    return [*_row(record), *_row(answer)]


def _joined_values(record: bytes, answer: bytes) -> dict[str, object]:
    given, said = _value(record), _value(answer)
    if isinstance(given, dict):
        return given | {"SageMakerOutput": said}
    return {"SageMakerInput": given, "SageMakerOutput": said}


def _row(line: bytes) -> list[str]:
    return next(csv.reader([line.decode(errors="replace")]), [])


def _value(line: bytes) -> object:
    text = line.decode(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


def _encoded(value: object, *, is_csv: bool) -> bytes:
    if not is_csv:
        return json.dumps(value, ensure_ascii=False).encode()
    page = io.StringIO(newline="")
    csv.writer(page, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return page.getvalue().encode()
