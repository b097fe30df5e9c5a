"""What of an image is checked, how it is built, and what ECR says of it."""

import base64
import json

import boto3
import pytest

from absa_server.cloud import docker
from absa_server.cloud.errors import BadImage
from absa_server.cloud.image import (
    DOCKER_MANIFEST,
    build_command,
    check_image,
    default_tag,
    parse_inspection,
    parse_repository,
    pushed_digest,
)
from absa_server.cloud.image_labels import LABELS

GOOD = {
    "Id": "sha256:0123456789abcdef",
    "Os": "linux",
    "Architecture": "amd64",
    "Config": {"Labels": dict.fromkeys(LABELS, "true")},
}
URI = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/absa-server"
OCI = "application/vnd.oci.image.manifest.v1+json"
BAD = {
    "arm64": ({"Architecture": "arm64"}, "linux/arm64"),
    "one label": ({"Config": {"Labels": {LABELS[0]: "true"}}}, LABELS[1]),
    "label that is not true": ({"Config": {"Labels": dict.fromkeys(LABELS, "yes")}}, f"{LABELS[0]}=true"),
    "no labels": ({"Config": {"Labels": None}}, "lacks the labels"),
    "OCI manifest": ({"Descriptor": {"mediaType": OCI}}, "OCI"),
    "index": ({"Descriptor": {"mediaType": "application/vnd.oci.image.index.v1+json"}}, "provenance=false"),
}


def test_good_image_passes():
    """With or without an engine that tells the manifest's type."""
    check_image(parse_inspection(GOOD))
    check_image(parse_inspection(GOOD | {"Descriptor": {"mediaType": DOCKER_MANIFEST}}))


@pytest.mark.parametrize(("change", "named"), BAD.values(), ids=BAD)
def test_image_that_sagemaker_refuses_is_named(change, named):
    """Before minutes of pushing and of creating an endpoint."""
    with pytest.raises(BadImage, match=named):
        check_image(parse_inspection(GOOD | change))


def test_every_complaint_is_told_at_once():
    """Not one a push."""
    with pytest.raises(BadImage, match=r"arm64.*labels.*OCI"):
        check_image(parse_inspection(GOOD | {"Architecture": "arm64", "Config": {}, "Descriptor": {"mediaType": OCI}}))


def test_build_leaves_attestations_out():
    """BuildKit's would make an index; the classic builder knows no such option."""
    kit = build_command(".", "x", ["A=1"], has_buildx=True)
    classic = build_command(".", "x", [], has_buildx=False)
    assert {"--provenance=false", "--sbom=false", "--load"} <= set(kit)
    assert kit[kit.index("--build-arg") + 1] == "A=1"
    for command in (kit, classic):
        assert command[command.index("--platform") + 1] == "linux/amd64"
    assert not [part for part in classic if "provenance" in part]


def test_tag_is_the_images_own():
    """Two images never want the same tag, which could be pushed once only."""
    assert default_tag("0.1.0", parse_inspection(GOOD)) == "0.1.0-0123456789ab"


@pytest.mark.parametrize("uri", ["absa-server", f"{URI}:1", f"{URI}@sha256:0", "docker.io/library/python"])
def test_what_is_no_repository_is_refused(uri):
    """A tag or a digest does not belong in it."""
    with pytest.raises(BadImage, match="expected <account>"):
        parse_repository(uri)


def test_repository_is_taken_apart():
    """Registry to log in to, Region to ask, name to ask for."""
    found = parse_repository(URI)
    assert (found.registry, found.region, found.name) == (URI.partition("/")[0], "eu-west-1", "absa-server")
    assert found.uri == URI


def push(ecr, media_type: str = DOCKER_MANIFEST) -> None:
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": {"digest": "sha256:" + "1" * 64}, "layers": []}
    ecr.put_image(
        repositoryName="absa-server",
        imageManifest=json.dumps(manifest),
        imageManifestMediaType=media_type,
        imageTag="1",
    )


def test_digest_is_ecrs_own(account):
    """None before the push, ECR's afterwards."""
    ecr = boto3.client("ecr", account)
    with pytest.raises(BadImage, match="--only storage"):
        pushed_digest(ecr, parse_repository(URI), "1")
    ecr.create_repository(repositoryName="absa-server")
    assert pushed_digest(ecr, parse_repository(URI), "1") is None
    push(ecr)
    assert pushed_digest(ecr, parse_repository(URI), "1").startswith("sha256:")


def test_manifest_is_checked_after_the_push_too(account):
    """An engine that said nothing of it may have pushed an OCI manifest."""
    ecr = boto3.client("ecr", account)
    ecr.create_repository(repositoryName="absa-server")
    push(ecr, OCI)
    with pytest.raises(BadImage, match="another --tag"):
        pushed_digest(ecr, parse_repository(URI), "1")


def test_docker_is_asked_for_politely(monkeypatch, tmp_path):
    """Without the program the message says that one is needed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert docker.has_buildx() is False
    with pytest.raises(BadImage, match="install a docker engine"):
        docker.inspect("x")


def test_token_of_ecr_is_split(account, monkeypatch, tmp_path):
    """User and password go to docker; the password on standard input, where no process list shows it."""
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments; cat > {tmp_path}/input\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    ecr = boto3.client("ecr", account)
    docker.login(ecr, "registry")
    assert (tmp_path / "arguments").read_text().split() == [
        "login",
        "--username",
        "AWS",
        "--password-stdin",
        "registry",
    ]
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    assert (tmp_path / "input").read_text() == base64.b64decode(token).decode().partition(":")[2]
