"""What a caller may ask for next to the texts: read from JSON or from a header, and told to the next container.

Knows the names, types and ranges of parameters, not what they do. A new one needs a row in `_PARAMETERS` and a field
of `types.Parameters`; names without a row are refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

from absa_server.errors import InvalidRequest
from absa_server.http.wording import kind_of, one_of, shown, unknown_name
from absa_server.types import Mode, OffsetUnit, Parameters

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
DEFAULTS = Parameters()
MODEL_NAMES = ("model", "aspect_model", "sentiment_model")


@dataclass(frozen=True, slots=True)
class _Parameter:
    """`from_header` turns a header's characters into the JSON value they stand for, or leaves them to `is_legal`."""

    expected: str
    is_legal: Callable[[object], bool]
    from_header: Callable[[str], object]


def _is_probability(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _number(value: str) -> object:
    try:
        return float(value)
    except ValueError:
        return value


def _choice(names: tuple[str, ...]) -> _Parameter:
    return _Parameter(one_of(names), lambda value: value in names, str)


_SWITCH = _Parameter(
    "true or false",
    lambda value: isinstance(value, bool),
    lambda value: {"true": True, "false": False}.get(value, value),
)
_PARAMETERS: Mapping[str, _Parameter] = {
    "mode": _choice(get_args(Mode)),
    "min_score": _Parameter("a number from 0 to 1", _is_probability, _number),
    "offsets": _choice(get_args(OffsetUnit)),
    "return_text": _SWITCH,
    "stream": _SWITCH,
    **dict.fromkeys(MODEL_NAMES, _Parameter("a model's name", lambda value: isinstance(value, str), str)),
}
# Whom this container was told to ask is no business of the next one.
_OWN = {*MODEL_NAMES, "return_text"}


def parse_parameters(value: object, *, base: Parameters, path: str) -> Parameters:
    """`base` with what the object `value` says of it; null, whole or for one name, says nothing.

    Raises `InvalidRequest` for an unknown name and for a value of the wrong type or out of its range.
    """
    if value is None:
        return base
    if not isinstance(value, dict):
        raise InvalidRequest(f"{path}: expected an object, got {kind_of(value)}")
    given: dict[str, Any] = {}
    for name, wanted in value.items():
        parameter = _parameter(name, path=path)
        if wanted is not None:
            given[name] = _checked(wanted, parameter, path=f"{path}.{name}")
    return replace(base, **given)


def parse_custom_attributes(header: str | None) -> Parameters:
    """The parameters in `key=value;key=value`, for bodies that have no place of their own for them.

    A header without any `=` is not meant for us (clients put trace ids there) and says nothing. Raises
    `InvalidRequest` as `parse_parameters` does, and for a name given twice.
    """
    given: dict[str, Any] = {}
    for attribute in (header or "").split(";") if "=" in (header or "") else ():
        if not attribute.strip():
            continue
        name, equals, value = (part.strip() for part in attribute.partition("="))
        if not equals or name in given:
            raise InvalidRequest(f"{CUSTOM_ATTRIBUTES}: expected key=value, each key once, got {shown(name)}")
        parameter = _parameter(name, path=CUSTOM_ATTRIBUTES)
        given[name] = _checked(parameter.from_header(value), parameter, path=f"{CUSTOM_ATTRIBUTES}: {name}")
    return replace(DEFAULTS, **given)


def asks_to_stream(header: str | None) -> bool:
    """Whether Custom-Attributes say `stream=true`: the one of them that is read for a JSON object, too.

    Raises `InvalidRequest` for another value than true or false; other attributes may be anything.
    """
    for attribute in (header or "").split(";"):
        name, equals, value = (part.strip() for part in attribute.partition("="))
        if equals and name == "stream":
            return bool(_checked(_SWITCH.from_header(value), _SWITCH, path=f"{CUSTOM_ATTRIBUTES}: {name}"))
    return False


def changed_parameters(parameters: Parameters, *, base: Parameters = DEFAULTS) -> dict[str, object]:
    """What the next container must be told so that, starting from `base`, it arrives at `parameters`.

    `return_text` false is the same as not given there: an answer leaves the text out unless it is asked for. Models
    are not passed on.
    """
    changed = {
        field.name: getattr(parameters, field.name)
        for field in fields(parameters)
        if getattr(parameters, field.name) != getattr(base, field.name) and field.name not in _OWN
    }
    if bool(parameters.return_text) != bool(base.return_text):
        changed["return_text"] = bool(parameters.return_text)
    return changed


def _parameter(name: str, *, path: str) -> _Parameter:
    if name not in _PARAMETERS:
        raise InvalidRequest(f"{path}: {unknown_name(name, _PARAMETERS)}")
    return _PARAMETERS[name]


def _checked(value: object, parameter: _Parameter, *, path: str) -> object:
    if not parameter.is_legal(value):
        raise InvalidRequest(f"{path}: expected {parameter.expected}, got {shown(value)}")
    return value
