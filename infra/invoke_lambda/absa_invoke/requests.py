"""Queries and bodies made into the one form. Knows the limits of each way, and nothing of what is done with a form."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from absa_invoke.events import Call
from absa_invoke.problems import INVALID_REQUEST, TEXT_TOO_LONG, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, Problem
from absa_invoke.schemas import AnalyzeRequest, JobRequest, refused

MAX_QUERY_CHARS = 2000
MAX_BODY_BYTES = 1024 * 1024
# The event that carries it may have 6 MB, in which a body is quoted once more.
MAX_JOB_BYTES = 4 * 1024 * 1024

_PARAMETERS = ("mode", "min_score", "offsets", "return_text")
_FORM = TypeVar("_FORM", bound=AnalyzeRequest)


def read_query(call: Call) -> AnalyzeRequest:
    """The form that a GET asks for. Raises `Problem`."""
    given = single_values(call.query, ("text", "model", *_PARAMETERS))
    if "text" not in given:
        raise Problem(INVALID_REQUEST, "text: expected one review in the query, got none")
    if (count := len(given["text"])) > MAX_QUERY_CHARS:
        what = f"text: expected at most {MAX_QUERY_CHARS} characters in a query, got {count}"
        raise Problem(TEXT_TOO_LONG, f'{what}; POST it to the same path as {{"text": …}}')
    return read_form(AnalyzeRequest, _query_as_body(given))


def read_analyze_body(call: Call) -> AnalyzeRequest:
    """The form in a POST's body, of up to 64 reviews. Raises `Problem`."""
    return _read_body(AnalyzeRequest, call, max_bytes=MAX_BODY_BYTES)


def read_job_body(call: Call) -> JobRequest:
    """The form in a job's body. Raises `Problem`."""
    return _read_body(JobRequest, call, max_bytes=MAX_JOB_BYTES)


def read_form(kind: type[_FORM], body: Mapping[str, Any]) -> _FORM:
    """The form that `body` is. Raises `Problem`."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise refused(error) from None


def single_values(query: Mapping[str, tuple[str, ...]], known: Iterable[str]) -> dict[str, str]:
    """Each parameter's one value. Raises `Problem` for a repeated and for an unknown one; its value is not repeated."""
    names = tuple(known)
    for name, values in query.items():
        if name not in names:
            said = f"expected {', '.join(names)}" if names else "expected no query"
            raise Problem(INVALID_REQUEST, f"query: {said}; got {name[:50]!r}")
        if len(values) > 1:
            raise Problem(INVALID_REQUEST, f"{name}: expected once, got {len(values)} times")
    return {name: values[0] for name, values in query.items()}


def _query_as_body(given: Mapping[str, str]) -> dict[str, Any]:
    """The POST form of a query: the one place where strings become numbers and booleans, or stay to be refused."""
    parameters = {name: _READ.get(name, str)(given[name]) for name in _PARAMETERS if name in given}
    body: dict[str, Any] = {name: given[name] for name in ("text", "model") if name in given}
    return body | ({"parameters": parameters} if parameters else {})


def _number(value: str) -> object:
    try:
        return float(value)
    except ValueError:
        return value


def _flag(value: str) -> object:
    return {"true": True, "false": False}.get(value, value)


_READ: Mapping[str, Callable[[str], object]] = {"min_score": _number, "return_text": _flag}


def _read_body(kind: type[_FORM], call: Call, *, max_bytes: int) -> _FORM:
    media_type = call.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(UNSUPPORTED_MEDIA_TYPE, f"Content-Type: expected application/json, got {media_type[:100]!r}")
    if (encoding := call.headers.get("content-encoding", "identity")) != "identity":
        raise Problem(UNSUPPORTED_MEDIA_TYPE, f"Content-Encoding: expected none, got {encoding[:100]!r}")
    if len(call.body) > max_bytes:
        raise Problem(TOO_LARGE, f"body: expected at most {max_bytes} bytes, got {len(call.body)}")
    try:
        return kind.model_validate_json(call.body)
    except ValidationError as error:
        raise refused(error) from None
