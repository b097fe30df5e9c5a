"""The resolved endpoint template, judged rule by rule before anything is sent. Calls nothing."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from absa_server.cloud.errors import BadTemplate
from absa_server.cloud.findings import Finding, failed, ok, skipped
from absa_server.cloud.resolver import Place, Resolver
from absa_server.cloud.template import read_template
from absa_server.cloud.template_checks import RULES, Resource, containers, resolved_resources

# What was not given is stood in for, so that the rest of the template can be judged; its own check says so.
STAND_INS = {
    "Image": f"000000000000.dkr.ecr.eu-west-1.amazonaws.com/absa-server@sha256:{'0' * 64}",
    "ExecutionRoleArn": "arn:aws:iam::000000000000:role/not-given",
    "ArtifactsBucket": "not-given",
    "ResultsBucket": "not-given",
}
# These are checked where they lie: in the account, in the registry.
_ELSEWHERE = {"image by digest", "execution role", "dashboard"}


def resolve_endpoint(folder: Path, parameters: Mapping[str, str], *, region: str) -> list[Resource]:
    """The resources of `endpoint.yaml` with these parameters, and stand-ins. Raises `BadTemplate`."""
    values = STAND_INS | {name: value for name, value in parameters.items() if name != "Image"}
    resolver = Resolver(read_template(folder / "endpoint.yaml"), values, place=Place(region=region))
    return resolved_resources(resolver)


def check_template(folder: Path, parameters: Mapping[str, str], *, region: str) -> tuple[list[Finding], list[Resource]]:
    """A finding for each rule, and the resources for the checks in the account; none if the template is unreadable."""
    try:
        resources = resolve_endpoint(folder, parameters, region=region)
    except BadTemplate as error:
        return [failed("template", str(error), "correct the parameter, or name the folder with --templates")], []
    return list(_judged(resources)), resources


def _judged(resources: list[Resource]) -> Iterator[Finding]:
    for name, rule in RULES.items():
        if name in _ELSEWHERE:
            continue
        said = list(rule(resources))
        if said:
            yield failed(name, "; ".join(said), "change the parameters or the template: SageMaker would refuse it")
        else:
            yield ok(name, _seen(name, resources))


def _seen(name: str, resources: list[Resource]) -> str:
    models = [resource for resource in resources if resource.type == "AWS::SageMaker::Model"]
    all_containers = [container for model in models for container in containers(model)]
    if name == "environment size":
        sizes = [
            sum(len(f"{key}{value}".encode()) for key, value in container.get("Environment", {}).items())
            for container in all_containers
        ]
        entries = max((len(container.get("Environment", {})) for container in all_containers), default=0)
        return f"{sum(sizes)} of 32,768 bytes, at most {entries} of 100 variables a container"
    if name in {"containers", "one multi-model container a pipeline"}:
        modes = [str(container.get("Mode", "SingleModel")) for container in all_containers]
        return f"{len(modes)}: {', '.join(modes)}"
    return "as it should be"


def data_urls(resources: list[Resource]) -> list[str]:
    """The `s3://…` that the containers take their models from."""
    models = (resource for resource in resources if resource.type == "AWS::SageMaker::Model")
    return [str(container["ModelDataUrl"]) for model in models for container in containers(model)]


def instances(resources: list[Resource]) -> tuple[str, int, int]:
    """Instance type, and the fewest and most of them."""
    (config,) = (resource for resource in resources if resource.type == "AWS::SageMaker::EndpointConfig")
    (variant,) = config.properties["ProductionVariants"]
    fewest = int(variant["InitialInstanceCount"])
    targets = [r for r in resources if r.type == "AWS::ApplicationAutoScaling::ScalableTarget"]
    most = max([fewest, *(int(target.properties["MaxCapacity"]) for target in targets)])
    return str(variant["InstanceType"]), fewest, most


def check_named(parameters: Mapping[str, str]) -> list[Finding]:
    """What has to be named for the checks in the account to mean something, and is not."""
    options = {
        "ExecutionRoleArn": ("execution role", "--role"),
        "ArtifactsBucket": ("artifacts bucket", "--artifacts-bucket"),
        "ResultsBucket": ("results bucket", "--results-bucket"),
        "Image": ("image by digest", "--image"),
    }
    return [
        skipped(check, "not named", f"name it with {option}")
        for name, (check, option) in options.items()
        if not parameters.get(name)
    ]
