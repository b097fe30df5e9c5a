"""The docker command line: run, its output shown or read. Knows no registry and no image of ours."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absa_server.cloud.errors import BadImage
from absa_server.cloud.image import LocalImage, parse_inspection

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


def has_buildx() -> bool:
    """Whether the engine builds with BuildKit; the classic builder knows neither attestations nor how to omit them."""
    program = shutil.which("docker")
    if program is None or os.environ.get("DOCKER_BUILDKIT") == "0":
        return False
    return subprocess.run([program, "buildx", "version"], capture_output=True, check=False).returncode == 0  # noqa: S603


def show(arguments: Sequence[str]) -> None:
    """Runs docker in the user's sight: it draws its own progress. Raises `BadImage`."""
    done = subprocess.run([_program(), *arguments], check=False)  # noqa: S603
    if done.returncode:
        raise BadImage(f"docker {' '.join(arguments[:2])} ended with {done.returncode}; it has said why above")


def inspect(image: str) -> LocalImage:
    """What the engine knows of a local image. Raises `BadImage`."""
    (found,) = json.loads(_read(["image", "inspect", image]))
    return parse_inspection(found)


def login(ecr: "ECRClient", registry: str) -> None:
    """Logs docker in to ECR for twelve hours; the token is never an argument, which others could see."""
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, password = base64.b64decode(token).decode().split(":", 1)
    _read(["login", "--username", user, "--password-stdin", registry], text=password)


def _read(arguments: Sequence[str], *, text: str = "") -> str:
    done = subprocess.run(  # noqa: S603
        [_program(), *arguments], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BadImage(f"docker {' '.join(arguments[:2])}: {done.stderr.strip()}")
    return done.stdout


def _program() -> str:
    program = shutil.which("docker")
    if program is None:
        raise BadImage("the docker command is not on PATH; install a docker engine")
    return program
