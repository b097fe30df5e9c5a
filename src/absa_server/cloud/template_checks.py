"""What SageMaker refuses, and our own rules, in a resolved endpoint: the errors that cfn-lint and botocore let pass.

Each rule is a function from the resolved resources to its complaints.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from absa_server.cloud.errors import BadTemplate
from absa_server.cloud.resolver import Resolver

MAX_ENVIRONMENT_BYTES = 32 * 1024
MAX_ENVIRONMENT_ENTRIES = 100
MAX_VALUE_CHARS = 1024
_BY_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")
_WIDGET_KEYS = {
    "metric": (
        {"metrics", "region"},
        {"title", "period", "stat", "annotations", "view", "stacked", "yAxis", "start", "end"},
    ),
    "log": ({"query", "region"}, {"title", "view", "stacked"}),
    "alarm": ({"alarms"}, {"title", "sortBy", "states"}),
    "text": ({"markdown"}, {"background"}),
}


@dataclass(frozen=True, slots=True)
class Resource:
    """One resolved resource."""

    logical: str
    type: str
    properties: Mapping[str, Any]


def resolved_resources(resolver: Resolver) -> list[Resource]:
    """Every resource whose condition holds, resolved."""
    return [Resource(name, resolver.type_of(name), resolver.properties(name)) for name in resolver.resources()]


def complaints(resources: list[Resource]) -> list[str]:
    """What every rule has to say, each with the resource's name; empty when all is well."""
    return [said for rule in RULES.values() for said in rule(resources)]


def check(resolver: Resolver) -> None:
    """Raises `BadTemplate` with every complaint, one a line."""
    found = complaints(resolved_resources(resolver))
    if found:
        raise BadTemplate("\n".join(found))


def containers(model: Resource) -> list[Mapping[str, Any]]:
    """The containers of a model, one or several."""
    one = model.properties.get("PrimaryContainer")
    return [one] if one else list(model.properties.get("Containers", []))


def _of_type(resources: list[Resource], kind: str) -> Iterator[Resource]:
    return (resource for resource in resources if resource.type == kind)


def _models(resources: list[Resource]) -> Iterator[Resource]:
    return _of_type(resources, "AWS::SageMaker::Model")


def _variants(resources: list[Resource]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for config in _of_type(resources, "AWS::SageMaker::EndpointConfig"):
        yield from ((config.logical, variant) for variant in config.properties["ProductionVariants"])


def _role_is_given(resources: list[Resource]) -> Iterator[str]:
    for model in _models(resources):
        if not model.properties.get("ExecutionRoleArn"):
            yield f"{model.logical}: no ExecutionRoleArn; the API asks for one, the schema does not"


def _containers_are_one_or_several(resources: list[Resource]) -> Iterator[str]:
    for model in _models(resources):
        has = [key for key in ("PrimaryContainer", "Containers") if model.properties.get(key)]
        if len(has) != 1:
            yield f"{model.logical}: expected PrimaryContainer or Containers, got {' and '.join(has) or 'neither'}"
        elif has == ["Containers"] and not 2 <= len(containers(model)) <= 15:
            yield f"{model.logical}: expected 2 to 15 containers in a pipeline, got {len(containers(model))}"


def _pipeline_has_one_multi_model(resources: list[Resource]) -> Iterator[str]:
    for model in _models(resources):
        many = sum(container.get("Mode") == "MultiModel" for container in containers(model))
        if many > 1:
            yield f"{model.logical}: {many} multi-model containers in a pipeline; SageMaker takes one"


def _model_data_fits_the_mode(resources: list[Resource]) -> Iterator[str]:
    for model in _models(resources):
        for container in containers(model):
            url, is_many = str(container.get("ModelDataUrl", "")), container.get("Mode") == "MultiModel"
            if is_many and "ModelDataSource" in container:
                yield f"{model.logical}: ModelDataSource does not go with Mode MultiModel"
            elif is_many and not (url.startswith("s3://") and url.endswith("/")):
                yield f"{model.logical}: a multi-model container needs a prefix that ends with a slash, got {url!r}"
            elif not is_many and url and not url.endswith(".tar.gz"):
                yield f"{model.logical}: expected one .tar.gz, got {url!r}"


def _image_is_by_digest(resources: list[Resource]) -> Iterator[str]:
    for model in _models(resources):
        for container in containers(model):
            if not _BY_DIGEST.fullmatch(str(container.get("Image", ""))):
                yield f"{model.logical}: image {container.get('Image')!r} is not by digest"


def _environment_is_small(resources: list[Resource]) -> Iterator[str]:
    for model in _models(resources):
        total = 0
        for container in containers(model):
            variables = container.get("Environment", {})
            if len(variables) > MAX_ENVIRONMENT_ENTRIES:
                yield f"{model.logical}: {len(variables)} variables, {MAX_ENVIRONMENT_ENTRIES} are allowed"
            for name, value in variables.items():
                total += len(name.encode()) + len(str(value).encode())
                if len(str(value)) > MAX_VALUE_CHARS:
                    yield f"{model.logical}: {name} has {len(str(value))} characters, {MAX_VALUE_CHARS} are allowed"
        if total > MAX_ENVIRONMENT_BYTES:
            yield f"{model.logical}: {total} bytes of environment in all, {MAX_ENVIRONMENT_BYTES} are allowed"


def _routing_fits_the_mode(resources: list[Resource]) -> Iterator[str]:
    many = any(container.get("Mode") == "MultiModel" for model in _models(resources) for container in containers(model))
    for logical, variant in _variants(resources):
        if many and variant.get("RoutingConfig"):
            yield f"{logical}: a multi-model endpoint routes by model; leave RoutingConfig out"


def _fleet_spans_zones(resources: list[Resource]) -> Iterator[str]:
    for logical, variant in _variants(resources):
        if "ServerlessConfig" not in variant and int(variant.get("InitialInstanceCount", 0)) < 2:
            yield f"{logical}: fewer than two instances stand in one zone"
    for target in _of_type(resources, "AWS::ApplicationAutoScaling::ScalableTarget"):
        low, high = int(target.properties["MinCapacity"]), int(target.properties["MaxCapacity"])
        if low < 2:
            yield f"{target.logical}: MinCapacity {low}; fewer than two instances stand in one zone"
        if high < low:
            yield f"{target.logical}: MaxCapacity {high} is below MinCapacity {low}"


def _vpc_spans_zones(resources: list[Resource]) -> Iterator[str]:
    for model in _models(resources):
        subnets = model.properties.get("VpcConfig", {}).get("Subnets")
        if subnets is not None and len(subnets) < 2:
            yield f"{model.logical}: one subnet is one zone; give two or more"


def _names_can_be_replaced(resources: list[Resource]) -> Iterator[str]:
    for kind, name in (("Model", "ModelName"), ("EndpointConfig", "EndpointConfigName")):
        for resource in _of_type(resources, f"AWS::SageMaker::{kind}"):
            if name in resource.properties:
                yield f"{resource.logical}: {name} is set; CloudFormation cannot replace a {kind} that has a name"


def _update_keeps_capacity(resources: list[Resource]) -> Iterator[str]:
    for endpoint in _of_type(resources, "AWS::SageMaker::Endpoint"):
        if endpoint.properties.get("RetainAllVariantProperties") is not True:
            yield f"{endpoint.logical}: without RetainAllVariantProperties an update resets the number of instances"
        if not _rollback_alarms(endpoint):
            yield f"{endpoint.logical}: no alarm rolls an update back"


def _rollback_alarms(endpoint: Resource) -> list[Any]:
    deployment = endpoint.properties.get("DeploymentConfig", {})
    return list(deployment.get("AutoRollbackConfiguration", {}).get("Alarms", []))


def _dashboard_is_well_formed(resources: list[Resource]) -> Iterator[str]:
    for dashboard in _of_type(resources, "AWS::CloudWatch::Dashboard"):
        try:
            body = json.loads(dashboard.properties["DashboardBody"])
        except ValueError as error:
            yield f"{dashboard.logical}: DashboardBody is not JSON: {error}"
            continue
        for place, widget in enumerate(body.get("widgets", [])):
            yield from (f"{dashboard.logical}: widget {place}: {said}" for said in _widget(widget))


def _widget(widget: Mapping[str, Any]) -> Iterator[str]:
    if set(widget) != {"type", "x", "y", "width", "height", "properties"}:
        yield f"expected type, x, y, width, height and properties, got {', '.join(sorted(widget))}"
        return
    if widget["type"] not in _WIDGET_KEYS:
        yield f"type {widget['type']!r} is none of {', '.join(_WIDGET_KEYS)}"
        return
    required, optional = _WIDGET_KEYS[widget["type"]]
    has = set(widget["properties"])
    if required - has:
        yield f"lacks {', '.join(sorted(required - has))}"
    if has - required - optional:
        yield f"CloudWatch knows no {', '.join(sorted(has - required - optional))} in a {widget['type']} widget"
    if widget["x"] + widget["width"] > 24:
        yield f"reaches column {widget['x'] + widget['width']}; a dashboard has 24"


RULES: dict[str, Callable[[list[Resource]], Iterator[str]]] = {
    "execution role": _role_is_given,
    "containers": _containers_are_one_or_several,
    "one multi-model container a pipeline": _pipeline_has_one_multi_model,
    "model data": _model_data_fits_the_mode,
    "image by digest": _image_is_by_digest,
    "environment size": _environment_is_small,
    "routing": _routing_fits_the_mode,
    "instances over zones": _fleet_spans_zones,
    "subnets over zones": _vpc_spans_zones,
    "names": _names_can_be_replaced,
    "update keeps capacity": _update_keeps_capacity,
    "dashboard": _dashboard_is_well_formed,
}
