"""The aspects that come with a text: terms to look for, exact spans, or an earlier answer's aspects.

Offsets leave here in code points, whatever unit they came in. Knows one text at a time and no request.
"""

import re

from absa_server.errors import InvalidRequest
from absa_server.http.limits import Limits
from absa_server.http.offset_units import Utf16Index
from absa_server.http.wording import kind_of, shown, unknown_name
from absa_server.types import GivenAspect, OffsetUnit

_PASSED_ON = ("term", "start", "end", "score", "category", "label")
# What an earlier answer says of polarity is computed again.
_DROPPED = ("polarity", "polarity_score", "scores")
_KNOWN = frozenset(_PASSED_ON + _DROPPED)

# White space, control characters (NUL among them) and characters of no width: nothing of these alone can be analysed.
_VISIBLE = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")


def is_blank(text: str) -> bool:
    """Whether `text` holds nothing that a reader could see."""
    return _VISIBLE.search(text) is None


def parse_aspects(
    value: object, *, text: str, unit: OffsetUnit, path: str, limits: Limits
) -> tuple[GivenAspect, ...] | None:
    """The aspects given for `text`, in their order; None where none are given and they are to be found.

    `unit` is that of the offsets in `value`. Raises `InvalidRequest` naming the first bad aspect below `path`.
    """
    if value is None:
        return None
    if not isinstance(value, list):
        raise InvalidRequest(f"{path}: expected a list, got {kind_of(value)}")
    limits.check_aspects(len(value), path=path)
    index = Utf16Index(text) if unit == "utf16" and value else None
    return tuple(_aspect(item, text=text, index=index, path=f"{path}[{i}]") for i, item in enumerate(value))


def _aspect(value: object, *, text: str, index: Utf16Index | None, path: str) -> GivenAspect:
    if isinstance(value, str):
        return GivenAspect(_term(value, path=path))
    if not isinstance(value, dict):
        raise InvalidRequest(f"{path}: expected a term or an object, got {kind_of(value)}")
    for key in value:
        if key not in _KNOWN:
            raise InvalidRequest(f"{path}: {unknown_name(key, _PASSED_ON)}")
    start, end = _span(value, text=text, index=index, path=path)
    term = value.get("term")
    if term is None and start is None:
        raise InvalidRequest(f"{path}: expected a term, or start and end, got neither")
    return GivenAspect(
        term=None if term is None else _term(term, path=f"{path}.term"),
        start=start,
        end=end,
        score=_score(value.get("score"), path=f"{path}.score"),
        category=_name(value.get("category"), path=f"{path}.category"),
        label=_name(value.get("label"), path=f"{path}.label"),
    )


def _span(
    fields: dict[str, object], *, text: str, index: Utf16Index | None, path: str
) -> tuple[int, int] | tuple[None, None]:
    if fields.get("start") is None and fields.get("end") is None:
        return None, None
    start, end = (_offset(fields.get(name), path=f"{path}.{name}") for name in ("start", "end"))
    length = len(text) if index is None else index.length
    if not 0 <= start < length:
        raise InvalidRequest(f"{path}.start: expected 0 to {length - 1}, inside the text, got {start}")
    if not start < end <= length:
        raise InvalidRequest(f"{path}.end: expected {start + 1} to {length}, behind start and in the text, got {end}")
    if index is not None:
        start, end = _codepoint(index, start, path=f"{path}.start"), _codepoint(index, end, path=f"{path}.end")
    if is_blank(text[start:end]):
        raise InvalidRequest(f"{path}: expected a span with a word in it, got only white space")
    return start, end


def _offset(value: object, *, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidRequest(f"{path}: expected a whole number, as start and end go together, got {shown(value)}")
    return value


def _codepoint(index: Utf16Index, offset: int, *, path: str) -> int:
    codepoint = index.to_codepoint(offset)
    if codepoint is None:
        raise InvalidRequest(f"{path}: expected the border of a character, got {offset}, inside a surrogate pair")
    return codepoint


def _term(value: object, *, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"{path}: expected a string, got {kind_of(value)}")
    if is_blank(value):
        raise InvalidRequest(f"{path}: expected a word to look for, got an empty string or only white space")
    return value


def _score(value: object, *, path: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidRequest(f"{path}: expected a number, got {kind_of(value)}")
    return value


def _name(value: object, *, path: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise InvalidRequest(f"{path}: expected a string, got {kind_of(value)}")
