"""CloudFormation templates as data: files read, short tags made into their long forms. Knows no resource types."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from absa_server.cloud.errors import BadTemplate

# A template as data, and any part of one.
Template = dict[str, Any]
Node = Any


if TYPE_CHECKING:
    from yaml import SafeLoader as _SafeLoader
else:
    # libyaml's, ten times as fast, where PyYAML was built with it.
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):
    """YAML with CloudFormation's tags; dates such as a policy's version stay text."""


def _intrinsic(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _intrinsic)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_template(text: str, *, name: str) -> Template:
    """The template in `text`; `name` is for messages. Raises `BadTemplate`."""
    try:
        found = yaml.load(text, Loader=_Loader)  # noqa: S506  derived from SafeLoader
    except yaml.YAMLError as error:
        raise BadTemplate(f"{name}: not YAML: {error}") from error
    if not isinstance(found, dict) or "Resources" not in found:
        raise BadTemplate(f"{name}: expected a CloudFormation template with Resources")
    return found


def read_template(path: Path) -> Template:
    """The template in the file at `path`. Raises `BadTemplate`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadTemplate(f"{path}: cannot be read ({error.strerror}); name the folder with --templates") from error
    return parse_template(text, name=path.name)
