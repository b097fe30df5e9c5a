"""The image that SageMaker will accept: how it is built, what is checked of it, what ECR says of it once it is pushed.

Decides and asks; the docker command line is run by `docker.py`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from absa_server.cloud.aws import error_code
from absa_server.cloud.errors import BadImage
from absa_server.cloud.image_labels import LABELS

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

PLATFORM = "linux/amd64"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_REPOSITORY = re.compile(r"([0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?)/([a-z0-9._/-]+)")
_BY_TAG_ONLY = "SageMaker refuses OCI manifests and indexes"


@dataclass(frozen=True, slots=True)
class Repository:
    """An ECR repository, from its address."""

    registry: str
    region: str
    name: str

    @property
    def uri(self) -> str:
        """What images in it begin with."""
        return f"{self.registry}/{self.name}"


@dataclass(frozen=True, slots=True)
class LocalImage:
    """What the docker engine says of an image; `media_type` only where its store knows one."""

    id: str
    platform: str
    labels: Mapping[str, str]
    media_type: str | None


def parse_repository(uri: str) -> Repository:
    """The repository at `uri`. Raises `BadImage`."""
    match = _REPOSITORY.fullmatch(uri)
    if match is None:
        raise BadImage(f"{uri}: expected <account>.dkr.ecr.<region>.amazonaws.com/<repository>, without tag or digest")
    return Repository(match[1], match[2], match[3])


def build_command(context: str, tag: str, build_args: Sequence[str], *, has_buildx: bool) -> list[str]:
    """Arguments of `docker` that build for SageMaker's machines.

    Without attestations, which would make an index of the image.
    """
    begin = ["buildx", "build", "--provenance=false", "--sbom=false", "--load"] if has_buildx else ["build"]
    arguments = [part for argument in build_args for part in ("--build-arg", argument)]
    return [*begin, "--platform", PLATFORM, *arguments, "--tag", tag, context]


def parse_inspection(document: Mapping[str, Any]) -> LocalImage:
    """One item of what `docker image inspect` prints."""
    platform = f"{document.get('Os', '')}/{document.get('Architecture', '')}"
    labels = (document.get("Config") or {}).get("Labels") or {}
    media_type = (document.get("Descriptor") or {}).get("mediaType")
    return LocalImage(str(document["Id"]), platform, dict(labels), media_type)


def check_image(image: LocalImage) -> None:
    """Raises `BadImage` with everything that SageMaker would refuse only once the endpoint is created."""
    complaints = []
    if image.platform != PLATFORM:
        complaints.append(f"it is for {image.platform}; SageMaker's instances are {PLATFORM}")
    missing = [f"{label}=true" for label in LABELS if image.labels.get(label) != "true"]
    if missing:
        complaints.append(f"it lacks the labels {', '.join(missing)}")
    if image.media_type not in {None, DOCKER_MANIFEST}:
        complaints.append(
            f"its manifest is {image.media_type}; {_BY_TAG_ONLY}. Build with --provenance=false; if that does not "
            "help, switch the engine's containerd image store off"
        )
    if complaints:
        raise BadImage("the image cannot be used: " + "; ".join(complaints))


def default_tag(version: str, image: LocalImage) -> str:
    """A tag that names this very image: pushing it twice is pushing it once."""
    return f"{version}-{image.id.removeprefix('sha256:')[:12]}"


def pushed_digest(ecr: "ECRClient", repository: Repository, tag: str) -> str | None:
    """The digest of the image that ECR has under `tag`; `None` when there is none.

    Raises `BadImage` for a manifest that SageMaker refuses, or a repository that is not there.
    """
    try:
        found = ecr.describe_images(repositoryName=repository.name, imageIds=[{"imageTag": tag}])["imageDetails"]
    except ClientError as error:
        if error_code(error) == "ImageNotFoundException":
            return None
        if error_code(error) == "RepositoryNotFoundException":
            raise BadImage(f"{repository.uri}: no such repository; `absa deploy --only storage` makes it") from error
        raise
    media_type = found[0].get("imageManifestMediaType", DOCKER_MANIFEST)
    if media_type != DOCKER_MANIFEST:
        raise BadImage(f"{repository.uri}:{tag} was pushed as {media_type}; {_BY_TAG_ONLY}. Push under another --tag")
    return str(found[0]["imageDigest"])
