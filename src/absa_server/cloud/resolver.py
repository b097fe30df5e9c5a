"""What a template says once its parameters are known: conditions decided, intrinsic functions computed.

Knows the functions that the templates of infra/ use; any other is an error, never passed over. What AWS alone knows
(the names and attributes of created resources) is asked of the caller.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from absa_server.cloud.errors import BadTemplate
from absa_server.cloud.template import Node, Template

# The physical name of a resource, or one of its attributes.
Physical = Callable[[str, str | None], str]

_NO_VALUE = object()
_VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")
_LISTS = ("CommaDelimitedList", "List<")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a template is resolved for; what its pseudo parameters say."""

    region: str = "eu-west-1"
    account_id: str = "111122223333"
    stack_name: str = "absa"

    def pseudo_parameters(self) -> dict[str, str]:
        """Values of `AWS::…`, of the standard partition."""
        return {
            "AWS::Region": self.region,
            "AWS::AccountId": self.account_id,
            "AWS::StackName": self.stack_name,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }


def logical_names(logical: str, attribute: str | None) -> str:
    """Stands in for what only AWS knows: `Model`, or `Model.ModelName`."""
    return f"{logical}.{attribute}" if attribute else logical


class Resolver:
    """One template with its parameters. Raises `BadTemplate` for values that the template does not allow."""

    def __init__(
        self,
        template: Template,
        parameters: Mapping[str, str],
        *,
        place: Place | None = None,
        physical: Physical = logical_names,
    ) -> None:
        self._template = template
        self._physical = physical
        self._values: dict[str, Any] = {**(place or Place()).pseudo_parameters(), **_parameters(template, parameters)}

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        if name not in self._template.get("Conditions", {}):
            raise BadTemplate(f"Condition {name}: not declared")
        return self._is_true(self._template["Conditions"][name])

    def resources(self) -> Iterator[str]:
        """Logical names of the resources whose condition holds, in the order of the template."""
        for logical, resource in self._template["Resources"].items():
            if "Condition" not in resource or self.condition(resource["Condition"]):
                yield logical

    def type_of(self, logical: str) -> str:
        """The resource type, `AWS::…`."""
        return str(self._template["Resources"][logical]["Type"])

    def dependencies(self, logical: str) -> list[str]:
        """What the resource names in `DependsOn`."""
        named = self._template["Resources"][logical].get("DependsOn", [])
        return [named] if isinstance(named, str) else list(named)

    def is_kept(self, logical: str) -> bool:
        """Whether the resource outlives its stack."""
        return str(self._template["Resources"][logical].get("DeletionPolicy", "Delete")).startswith("Retain")

    def outputs(self) -> dict[str, str]:
        """The outputs whose condition holds, resolved."""
        declared = self._template.get("Outputs", {})
        return {
            name: str(self.value(output["Value"]))
            for name, output in declared.items()
            if "Condition" not in output or self.condition(output["Condition"])
        }

    def properties(self, logical: str) -> dict[str, Any]:
        """The resource's properties, resolved."""
        found = self.value(self._template["Resources"][logical].get("Properties", {}))
        if not isinstance(found, dict):
            raise BadTemplate(f"{logical}: expected properties, got {type(found).__name__}")
        return found

    def value(self, node: Node) -> Node:
        """`node` with every intrinsic function computed; keys and items that are `AWS::NoValue` are left out."""
        if isinstance(node, list):
            items = [self.value(item) for item in node]
            return [item for item in items if item is not _NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._call(name, argument)
        pairs = {key: self.value(item) for key, item in node.items()}
        return {key: item for key, item in pairs.items() if item is not _NO_VALUE}

    def _call(self, name: str, argument: Node) -> Node:
        functions: dict[str, Callable[[Node], Node]] = {
            "Ref": self._ref,
            "Fn::GetAtt": lambda pair: self._physical_of(pair[0], str(pair[1])),
            "Fn::Sub": self._sub,
            "Fn::If": lambda three: self.value(three[1] if self.condition(three[0]) else three[2]),
            "Fn::Join": lambda two: str(two[0]).join(str(part) for part in self.value(two[1])),
            "Fn::Select": lambda two: self.value(two[1])[int(two[0])],
        }
        if name not in functions:
            raise BadTemplate(f"{name}: a function that this resolver does not know")
        return functions[name](argument)

    def _ref(self, name: str) -> Node:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in self._values:
            return self._values[name]
        return self._physical_of(name, None)

    def _physical_of(self, logical: str, attribute: str | None) -> str:
        if logical not in set(self.resources()):
            raise BadTemplate(f"{logical}: referred to, but not among the resources with these parameters")
        return self._physical(logical, attribute)

    def _sub(self, argument: Node) -> str:
        text, local = (argument, {}) if isinstance(argument, str) else argument

        def replaced(match: re.Match[str]) -> str:
            name = match[1]
            if name in local:
                return str(self.value(local[name]))
            if "." in name and not name.startswith("AWS::"):
                return self._physical_of(*name.split(".", 1))
            return str(self._ref(name))

        return _VARIABLE.sub(replaced, text).replace("${!", "${")

    def _is_true(self, node: Node) -> bool:
        ((name, argument),) = node.items()
        if name == "Condition":
            return self.condition(argument)
        if name == "Fn::Equals":
            left, right = (str(self.value(side)) for side in argument)
            return left == right
        if name == "Fn::Not":
            return not self._is_true(argument[0])
        if name in {"Fn::And", "Fn::Or"}:
            return (all if name == "Fn::And" else any)(self._is_true(part) for part in argument)
        raise BadTemplate(f"{name}: not a condition function that this resolver knows")


def _parameters(template: Template, given: Mapping[str, str]) -> dict[str, Any]:
    """Values of all parameters, typed; the template's own constraints are held."""
    declared = template.get("Parameters", {})
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise BadTemplate(f"{', '.join(unknown)}: no such parameter; there are {', '.join(sorted(declared))}")
    return {name: _parameter(name, rule, given.get(name)) for name, rule in declared.items()}


def _parameter(name: str, rule: Mapping[str, Any], given: str | None) -> Node:
    value = given if given is not None else rule.get("Default")
    if value is None:
        raise BadTemplate(f"{name}: has no default; give it a value")
    text = str(value)
    _check(name, rule, text)
    if rule["Type"] == "Number":
        return float(text) if "." in text else int(text)
    if rule["Type"].startswith(_LISTS):
        return [part.strip() for part in text.split(",")] if text else [""]
    return text


def _check(name: str, rule: Mapping[str, Any], text: str) -> None:
    allowed = [str(value) for value in rule.get("AllowedValues", [])]
    if allowed and text not in allowed:
        raise BadTemplate(f"{name}: expected one of {', '.join(allowed)}, got {text!r}")
    if "AllowedPattern" in rule and not re.fullmatch(rule["AllowedPattern"], text):
        why = rule.get("ConstraintDescription") or f"expected a match of {rule['AllowedPattern']}"
        raise BadTemplate(f"{name}: got {text!r}. {why}")
    if len(text) < int(rule.get("MinLength", 0)):
        raise BadTemplate(f"{name}: expected {rule['MinLength']} characters or more, got {text!r}")
    if rule["Type"] == "Number":
        _check_number(name, rule, text)


def _check_number(name: str, rule: Mapping[str, Any], text: str) -> None:
    try:
        number = float(text)
    except ValueError as error:
        raise BadTemplate(f"{name}: expected a number, got {text!r}") from error
    low, high = rule.get("MinValue", number), rule.get("MaxValue", number)
    if not low <= number <= high:
        raise BadTemplate(f"{name}: expected {low} to {high}, got {text}")
