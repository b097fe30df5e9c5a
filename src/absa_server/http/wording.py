"""The words in which a request's faults are told: where, what was expected, what came. Knows no field and no limit.

Messages go to callers and to logs, so they name kinds and keys, and never repeat a text that was to be analysed.
"""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass

_SHOWN_CHARS = 40
_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a request something stands: `results[3]`, `line 7`, or, without a name, the body itself."""

    name: str = ""
    separator: str = "."

    def field(self, name: str) -> str:
        """The path of a field in here: `results[3].text`, `line 7: text`, `text`."""
        return f"{self.name}{self.separator}{name}" if self.name else name

    def __str__(self) -> str:
        return self.name or "body"


def kind_of(value: object) -> str:
    """JSON's word for what came instead, for values that may be a caller's text."""
    return _KINDS.get(type(value), "null")


def shown(value: object) -> str:
    """What came instead, for values that are no text of a review: scalars as JSON, cut to a readable length."""
    if isinstance(value, dict | list):
        return kind_of(value)
    if isinstance(value, str) and len(value) > _SHOWN_CHARS:
        return json.dumps(value[:_SHOWN_CHARS] + "…", ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def unknown_name(name: str, known: Iterable[str]) -> str:
    """That `name` is none of `known`, with the nearest of them, or all where none is near."""
    known = list(known)
    near = difflib.get_close_matches(name[:_SHOWN_CHARS], known, n=1)
    return f"unknown name {shown(name)}; " + (f"did you mean {near[0]}?" if near else f"expected {one_of(known)}")


def one_of(names: Iterable[str]) -> str:
    """`a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
