"""A container of the image, run by the docker command line as SageMaker would run it. Knows docker, and no HTTP."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from absa_server.cloud.image_labels import LABELS
from absa_server.commands.server_checks import CheckFailed

LOG_LINES = 20


def docker(*arguments: str) -> str:
    """What `docker` printed. Raises `CheckFailed` with its complaint when it fails, or is not there."""
    program = shutil.which("docker")
    if program is None:
        raise CheckFailed("the docker command is not on PATH; install a docker engine")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise CheckFailed(f"docker {' '.join(arguments[:2])}: {done.stderr.strip()}")
    return done.stdout.strip()


def image_size_bytes(image: str) -> int:
    """Bytes of all layers of a local image."""
    return int(docker("image", "inspect", "--format", "{{.Size}}", image))


def check_labels(image: str) -> None:
    """The image has the labels that multi-model endpoints and pipelines ask for. Raises `CheckFailed`."""
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", image)) or {}
    missing = [label for label in LABELS if labels.get(label) != "true"]
    if missing:
        raise CheckFailed(f"{image} lacks {', '.join(f'{label}=true' for label in missing)}")


class Container:
    """`docker run IMAGE serve` with the models mounted read-only, its port on a free one of this machine.

    Removed on leaving the `with` block, whatever happened inside.
    """

    def __init__(self, image: str, *, model_dir: Path, user: str | None = None, read_only: bool = False) -> None:
        options = ["--publish", "127.0.0.1::8080", "--volume", f"{model_dir.resolve()}:/opt/ml/model:ro"]
        options += ["--user", user] if user else []
        options += ["--read-only", "--tmpfs", "/tmp"] if read_only else []  # noqa: S108  the container's /tmp
        self._id = docker("run", "--detach", *options, image, "serve")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        docker("rm", "--force", "--volumes", self._id)

    def address(self) -> str:
        """`host:port` where the server is reached from here."""
        return docker("port", self._id, "8080/tcp").splitlines()[0]

    def is_alive(self) -> bool:
        """Whether its process still runs."""
        return docker("inspect", "--format", "{{.State.Running}}", self._id) == "true"

    def log_tail(self) -> str:
        """The last lines it wrote, stdout and stderr, for a report of a failure."""
        program = shutil.which("docker") or "docker"
        done = subprocess.run(  # noqa: S603
            [program, "logs", "--tail", str(LOG_LINES), self._id],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    def terminate(self) -> float:
        """Send SIGTERM as the platform does; the time it was sent, on the monotonic clock."""
        sent = time.monotonic()
        docker("kill", "--signal", "TERM", self._id)
        return sent

    def exit_code(self) -> int:
        """Wait for its end; what it returned."""
        return int(docker("wait", self._id))
