"""Whether an identity's policies allow a call: the part of IAM that the templates' policies use.

An explicit Deny wins, else an Allow is needed. Actions and resources are matched with `*` and `?`; of the conditions,
StringEquals, StringLike and Bool. A statement with anything else is an error: it would be judged wrongly.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STATEMENT_KEYS = {"Sid", "Effect", "Action", "Resource", "Condition"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call: `s3:GetObject` on one ARN (or `*`), with the condition keys that it carries."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict, hash=False)


def is_allowed(documents: list[dict[str, Any]], call: Call) -> bool:
    """Whether the policies, taken together, allow the call."""
    statements = [statement for document in documents for statement in document["Statement"]]
    effects = {statement["Effect"] for statement in statements if _applies(statement, call)}
    return "Deny" not in effects and "Allow" in effects


def _applies(statement: dict[str, Any], call: Call) -> bool:
    unknown = set(statement) - STATEMENT_KEYS
    assert not unknown, f"not evaluated here: {unknown}"
    return (
        any(_matches(pattern.lower(), call.action.lower()) for pattern in _several(statement["Action"]))
        and any(_matches(pattern, call.resource) for pattern in _several(statement["Resource"]))
        and all(_holds(operator, keys, call) for operator, keys in statement.get("Condition", {}).items())
    )


def _holds(operator: str, keys: Mapping[str, Any], call: Call) -> bool:
    compare = {"StringEquals": str.__eq__, "StringLike": _matches, "Bool": str.__eq__}
    assert operator in compare, f"not evaluated here: {operator}"
    return all(
        key in call.context and any(compare[operator](str(value), call.context[key]) for value in _several(values))
        for key, values in keys.items()
    )


def _matches(pattern: str, text: str) -> bool:
    parts = [".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern)]
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _several(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
