"""The parameters of a stack: those given, those wired from other stacks, those it has, those the template defaults to.

Pure: reads templates and values, calls nothing.
"""

import difflib
import re
from collections.abc import Iterable, Mapping

from absa_server.cloud.errors import BadTemplate
from absa_server.cloud.parts import Part
from absa_server.cloud.template import Template

# Outputs of stacks that do not exist yet, for the checks before the first call.
PLACEHOLDERS = {
    "ArtifactsBucket": "artifacts-to-be-made",
    "ResultsBucket": "results-to-be-made",
    "RepositoryName": "absa-server",
    "ExecutionRoleArn": "arn:aws:iam::000000000000:role/to-be-made",
    "SecurityGroupId": "sg-0",
    "RestApiId": "to-be-made",
}
HOW_TO_GIVE = {
    "Image": "--image REPOSITORY@sha256:…, as `absa push-image` prints it",
    "VpcId": "--set VpcId=vpc-…",
}


def parameters_of(
    part: Part,
    template: Template,
    *,
    given: Mapping[str, str],
    outputs: Mapping[str, Mapping[str, str]],
    present: Mapping[str, str],
) -> dict[str, str]:
    """A value for every parameter the template declares.

    First what the user gave, then what another stack put out, then what the stack has now, then the default: an update
    that names one thing changes one thing. Raises `BadTemplate` for a parameter that has none of them.
    """
    values: dict[str, str] = {}
    missing: list[str] = []
    for name, rule in template.get("Parameters", {}).items():
        wired, offered = _output(part.wires, name, outputs), _output(part.offers, name, outputs)
        value = _first(given.get(name), wired, present.get(name) or offered, present.get(name), rule.get("Default"))
        if value is None:
            missing.append(HOW_TO_GIVE.get(name, f"--set {name}=…"))
        else:
            values[name] = value
    if missing:
        raise BadTemplate(f"{part.name}: give {'; '.join(missing)}")
    return values


def refuse_unknown(given: Iterable[str], templates: Iterable[Template]) -> None:
    """Raises `BadTemplate` for a name that no template declares, with the nearest that one does."""
    known = {name for template in templates for name in template.get("Parameters", {})}
    for name in sorted(set(given) - known):
        near = difflib.get_close_matches(name, known, n=1)
        raise BadTemplate(f"{name}: no template has such a parameter" + (f"; did you mean {near[0]}?" if near else ""))


def derived(values: Mapping[str, str]) -> dict[str, str]:
    """What follows from what was given.

    The role of an endpoint in a VPC needs network interfaces; the CPU alarm counts cores, which an instance's size
    tells: large has two, xlarge four, Nxlarge N times as many.
    """
    found: dict[str, str] = {}
    if "SubnetIds" in values:
        found["IsInVpc"] = "true" if values["SubnetIds"] else "false"
    size = re.fullmatch(r"ml\.[a-z0-9-]+\.(?:(large)|(\d*)xlarge)", values.get("InstanceType", ""))
    if size:
        found["VcpusPerInstance"] = "2" if size[1] else str(4 * int(size[2] or 1))
    return found


def without_wires(part: Part, values: Mapping[str, str]) -> dict[str, str]:
    """The parameters that are somebody's choice, not another stack's output."""
    return {name: value for name, value in values.items() if name not in part.wires}


def _output(sources: Mapping[str, tuple[str, str]], name: str, outputs: Mapping[str, Mapping[str, str]]) -> str | None:
    source, output = sources.get(name, ("", ""))
    return outputs.get(source, {}).get(output)


def _first(*values: object) -> str | None:
    return next((str(value) for value in values if value is not None), None)
