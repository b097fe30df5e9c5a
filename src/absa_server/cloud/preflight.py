"""All checks before a deployment, in the order of what depends on what. Knows which there are, not how they look."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from absa_server.cloud.findings import Finding, skipped
from absa_server.cloud.inquiry import Inquiry
from absa_server.cloud.preflight_account import (
    check_api_quota,
    check_bucket,
    check_identity,
    check_instance_quota,
    check_model_data,
    check_pass_role,
    check_role,
)
from absa_server.cloud.preflight_image import Inspect, check_image_in_ecr, check_local_image, inspect_image
from absa_server.cloud.preflight_template import check_named, check_template, data_urls, instances
from absa_server.cloud.template_checks import Resource


@dataclass(frozen=True, slots=True)
class Intent:
    """What is to be deployed: the templates' folder, parameters of `endpoint.yaml`, and the wanted request rate."""

    templates: Path
    parameters: Mapping[str, str]
    region: str
    rate_rps: float

    @property
    def shape(self) -> str:
        """The shape, as the template has it by default."""
        return self.parameters.get("Shape", "single")


def run_checks(
    intent: Intent,
    inquiry: Inquiry | None,
    *,
    open_artifact: Callable[[], Finding] | None = None,
    inspect: Inspect = inspect_image,
) -> Iterator[Finding]:
    """Every finding, as soon as it is there. Without `inquiry` the account is left alone.

    `open_artifact` loads the artifact as the server would.
    """
    findings, resources = check_template(intent.templates, intent.parameters, region=intent.region)
    yield from findings
    yield from check_named(intent.parameters)
    yield from _image(intent, inquiry, resources, inspect)
    if open_artifact is None:
        yield skipped("artifact layout", "no artifact was named", "name it with --artifact")
    else:
        yield open_artifact()
    if inquiry is None:
        yield skipped("account", "left alone, as --offline asks")
    else:
        yield from _account(intent, inquiry, resources)


def _image(intent: Intent, inquiry: Inquiry | None, resources: list[Resource], inspect: Inspect) -> Iterator[Finding]:
    image = intent.parameters.get("Image")
    if not image:
        return
    yield from check_image_in_ecr(image, inquiry, region=intent.region)
    if resources:
        yield from check_local_image(image, shape=intent.shape, instance_type=instances(resources)[0], inspect=inspect)


def _account(intent: Intent, inquiry: Inquiry, resources: list[Resource]) -> Iterator[Finding]:
    identity, caller = check_identity(inquiry)
    yield identity
    if caller is None:
        return
    for check, name in (("artifacts bucket", "ArtifactsBucket"), ("results bucket", "ResultsBucket")):
        if intent.parameters.get(name):
            yield check_bucket(inquiry, check, intent.parameters[name])
    if intent.parameters.get("ArtifactsBucket"):
        for url in dict.fromkeys(data_urls(resources)):
            yield check_model_data(inquiry, url)
    role = intent.parameters.get("ExecutionRoleArn")
    if role:
        yield check_role(inquiry, role)
        yield check_pass_role(inquiry, caller, role)
    if resources:
        yield check_instance_quota(inquiry, *instances(resources))
    yield check_api_quota(inquiry, intent.rate_rps)
