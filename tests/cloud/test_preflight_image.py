"""The image before a deployment: labels, architecture, digest, Region, manifest."""

import pytest

from absa_server.cloud.preflight_image import (
    BIND_TO_PORT,
    DOCKER_MANIFEST,
    MULTI_MODEL,
    check_image_in_ecr,
    check_local_image,
)

from .stubbed import Stubbed, inquiry

DIGEST = f"sha256:{'a' * 64}"
REPOSITORY = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/absa-server"
IMAGE = f"{REPOSITORY}@{DIGEST}"
BOTH = {MULTI_MODEL: "true", BIND_TO_PORT: "true"}


def statuses(findings) -> dict[str, str]:
    return {finding.check: finding.status for finding in findings}


def local(labels=BOTH, architecture="amd64", *, shape="single", instance_type="ml.c6i.xlarge") -> dict[str, str]:
    found = {"Config": {"Labels": labels}, "Architecture": architecture}
    return statuses(check_local_image("absa", shape=shape, instance_type=instance_type, inspect=lambda _: (found, "")))


@pytest.mark.parametrize(
    ("shape", "labels", "status"),
    [
        ("pipeline-multi-model", BOTH, "ok"),
        ("pipeline", {BIND_TO_PORT: "true"}, "warning"),
        ("pipeline", {MULTI_MODEL: "true"}, "failed"),
        ("multi-model", {MULTI_MODEL: "false", BIND_TO_PORT: "true"}, "failed"),
        ("single", None, "warning"),
    ],
)
def test_labels_are_judged_by_the_shape(shape, labels, status):
    """A label that the shape needs is a failure, another one a warning."""
    assert local(labels, shape=shape)["image labels"] == status


@pytest.mark.parametrize(
    ("architecture", "instance_type", "status"),
    [
        ("amd64", "ml.c6i.xlarge", "ok"),
        ("arm64", "ml.c6i.xlarge", "failed"),
        ("arm64", "ml.c7g.xlarge", "ok"),
        ("amd64", "ml.m6gd.large", "failed"),
        ("amd64", "ml.g5.xlarge", "ok"),
    ],
)
def test_architecture_is_the_instances_own(architecture, instance_type, status):
    """Graviton types want arm64; a GPU type whose name begins with g does not."""
    assert local(architecture=architecture, instance_type=instance_type)["image architecture"] == status


def test_image_without_an_engine_is_skipped_with_the_reason():
    """No engine, no verdict."""
    findings = check_local_image(
        "x", shape="single", instance_type="ml.c5.large", inspect=lambda _: (None, "no docker")
    )
    assert [(finding.status, finding.message) for finding in findings] == [("skipped", "no docker")] * 2


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (IMAGE, {"image by digest": "ok", "image region": "ok"}),
        (f"{REPOSITORY}:1.0", {"image by digest": "failed", "image region": "ok"}),
        (IMAGE.replace("eu-west-1", "us-east-1"), {"image by digest": "ok", "image region": "failed"}),
        ("absa-server", {"image by digest": "skipped"}),
    ],
)
def test_name_of_the_image_is_judged(image, expected):
    """By digest, and in the endpoint's own Region."""
    assert statuses(check_image_in_ecr(image, None, region="eu-west-1")) == expected


@pytest.mark.parametrize(
    ("kind", "status"),
    [(DOCKER_MANIFEST, "ok"), ("application/vnd.oci.image.manifest.v1+json", "failed"),
     ("application/vnd.oci.image.index.v1+json", "failed")],
)  # fmt: skip
def test_manifest_must_be_dockers_own(kind, status):
    """SageMaker refuses OCI manifests and indexes."""
    answer = {"imageDetails": [{"imageManifestMediaType": kind, "imageSizeInBytes": 500_000_000}]}
    found = check_image_in_ecr(IMAGE, inquiry(ecr=Stubbed("ecr", ("describe_images", answer))), region="eu-west-1")
    assert statuses(found)["image in ECR"] == status


@pytest.mark.parametrize(
    ("code", "status"), [("ImageNotFoundException", "failed"), ("AccessDeniedException", "warning")]
)
def test_image_that_is_not_there_fails_and_one_not_to_be_seen_warns(code, status):
    """What is not there cannot be deployed; what may not be looked at perhaps can."""
    found = check_image_in_ecr(IMAGE, inquiry(ecr=Stubbed("ecr", ("describe_images", code))), region="eu-west-1")
    assert statuses(found)["image in ECR"] == status
