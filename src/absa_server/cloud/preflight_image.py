"""The image before it is deployed: labels and architecture where an engine has it, digest and manifest in ECR.

SageMaker refuses OCI manifests ("Unsupported manifest media type application/vnd.oci.image…"): docker's own is wanted.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from absa_server.cloud.findings import Finding, failed, ok, skipped, warning
from absa_server.cloud.inquiry import QUESTION_ERRORS, Inquiry, code_of, told

MULTI_MODEL = "com.amazonaws.sagemaker.capabilities.multi-models"
BIND_TO_PORT = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<repository>[a-z0-9._/-]+?)"
    r"(@(?P<digest>sha256:[0-9a-f]{64})|:(?P<tag>[\w.-]+))?"
)
# c7g, m7gd, r8g …: a generation's number, then g.
_GRAVITON = re.compile(r"ml\.[a-z]+\d+g")
_BUILD = "build it with `docker buildx build --platform linux/{} --provenance=false --output type=docker`"

# What an engine says of an image; None when none answers or it does not have it, with the reason.
Inspect = Callable[[str], tuple[Mapping[str, Any] | None, str]]


def inspect_image(image: str) -> tuple[Mapping[str, Any] | None, str]:
    """`docker image inspect`, or why it cannot be asked."""
    program = shutil.which("docker")
    if program is None:
        return None, "the docker command is not on PATH"
    command = [program, "image", "inspect", image]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603
    except subprocess.TimeoutExpired:
        return None, "docker does not answer"
    if done.returncode:
        return None, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "docker refuses"
    return json.loads(done.stdout)[0], ""


def check_local_image(image: str, *, shape: str, instance_type: str, inspect: Inspect = inspect_image) -> list[Finding]:
    """Labels and architecture, of an image that is on this machine."""
    found, why = inspect(image)
    if found is None:
        remedy = "pull it, and let a docker engine run, to have labels and architecture checked"
        return [skipped("image labels", why, remedy), skipped("image architecture", why, remedy)]
    labels = found.get("Config", {}).get("Labels") or {}
    return [_labels(labels, shape), _architecture(str(found.get("Architecture")), instance_type)]


def _labels(labels: Mapping[str, str], shape: str) -> Finding:
    needed = [MULTI_MODEL] * ("multi-model" in shape) + [BIND_TO_PORT] * ("pipeline" in shape)
    missing = [label for label in (MULTI_MODEL, BIND_TO_PORT) if labels.get(label) != "true"]
    text = ", ".join(f"{label}=true" for label in missing)
    remedy = "the labels belong into the last stage of the Dockerfile"
    if set(missing) & set(needed):
        return failed("image labels", f"{text}: missing, and {shape} needs them", remedy)
    if missing:
        return warning("image labels", f"{text}: missing; other shapes need them", remedy)
    return ok("image labels", "multi-models and accept-bind-to-port")


def _architecture(architecture: str, instance_type: str) -> Finding:
    wanted = "arm64" if _GRAVITON.match(instance_type) else "amd64"
    if architecture == wanted:
        return ok("image architecture", f"{architecture}, as {instance_type} has it")
    return failed(
        "image architecture",
        f"{architecture}, and {instance_type} is {wanted}: exec format error",
        _BUILD.format(wanted),
    )


def check_image_in_ecr(image: str, inquiry: Inquiry | None, *, region: str) -> list[Finding]:
    """Named by digest, in the endpoint's Region, there, with a manifest that SageMaker takes."""
    named = _ECR.fullmatch(image)
    if named is None:
        message = f"{image} is not in ECR; SageMaker pulls from ECR alone"
        return [skipped("image by digest", message, "`absa push-image` pushes it and prints its name by digest")]
    findings = [_digest(named["digest"]), _region(named["region"], region)]
    if inquiry is None or named["digest"] is None:
        return findings
    return [*findings, _manifest(inquiry, named)]


def _digest(digest: str | None) -> Finding:
    if digest:
        return ok("image by digest", digest[:19] + "…")
    return failed(
        "image by digest",
        "a tag could name another image when the fleet grows",
        "name it REPOSITORY@sha256:…, as `absa push-image` prints it",
    )


def _region(its: str, region: str) -> Finding:
    if its == region:
        return ok("image region", region)
    return failed("image region", f"the image is in {its}, the endpoint in {region}", f"push it to ECR in {region}")


def _manifest(inquiry: Inquiry, named: re.Match[str]) -> Finding:
    try:
        (detail,) = inquiry.client("ecr").describe_images(
            registryId=named["account"],
            repositoryName=named["repository"],
            imageIds=[{"imageDigest": named["digest"]}],
        )["imageDetails"]
    except QUESTION_ERRORS as error:
        if code_of(error) in {"ImageNotFoundException", "RepositoryNotFoundException"}:
            return failed("image in ECR", told(error), "push it: `absa push-image`")
        return warning("image in ECR", told(error), "ecr:DescribeImages lets this be checked")
    kind = str(detail.get("imageManifestMediaType", DOCKER_MANIFEST))
    if kind != DOCKER_MANIFEST:
        return failed("image in ECR", f"its manifest is {kind}, which SageMaker refuses", _BUILD.format("amd64"))
    return ok("image in ECR", f"there, {detail.get('imageSizeInBytes', 0) / 1e6:,.0f} MB, docker's own manifest")
