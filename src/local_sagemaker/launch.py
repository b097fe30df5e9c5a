"""A container definition to the command and environment that start it, as the platform would. Knows no life cycle.

A process has no /opt/ml of its own: it is told of its folder by SAGEMAKER_BASE_DIR, and by `{base_dir}`, `{model_dir}`
and `{port}` in its image's command and environment. A docker container gets the folders mounted where they belong.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from local_sagemaker.definitions import ContainerDefinition

# What a program of this machine needs to run at all. A container sees nothing else of whoever starts it.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT")
_AWS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_OPT_ML = "/opt/ml"
# Ports that a container may use beside its own; inside docker they are nobody else's.
_SAFE_PORTS = "25000-25999"


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run. `models_seen_at` is where the container finds the models of a multi-model endpoint."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    models_seen_at: PurePosixPath
    kill_command: tuple[str, ...] | None = None


def plan_launch(
    definition: ContainerDefinition, *, base_dir: Path, port: int, name: str, extra: Mapping[str, str] | None = None
) -> Launch:
    """How to start the container on `port` with `base_dir` as its /opt/ml. `extra` is added to its environment.

    The definition's Environment wins over the image's, and the platform's own variables over both.
    """
    environment = dict(definition.image.environment) | dict(definition.environment) | dict(extra or {})
    environment |= {"SAGEMAKER_BIND_TO_PORT": str(port)} | {name: os.environ.get(name, "us-east-1") for name in _AWS}
    if definition.is_multi_model:
        environment["SAGEMAKER_MULTI_MODEL"] = "true"
    if definition.image.command is not None:
        return _process(definition.image.command, environment, base_dir=base_dir, port=port)
    return _docker(definition, environment, base_dir=base_dir, port=port, name=name)


def _process(command: tuple[str, ...], environment: Mapping[str, str], *, base_dir: Path, port: int) -> Launch:
    places = {"{base_dir}": str(base_dir), "{model_dir}": str(base_dir / "model"), "{port}": str(port)}

    def filled(text: str) -> str:
        for mark, value in places.items():
            text = text.replace(mark, value)
        return text

    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    told = {"SAGEMAKER_BASE_DIR": str(base_dir)} | {name: filled(value) for name, value in environment.items()}
    return Launch(tuple(map(filled, command)), inherited | told, PurePosixPath(base_dir / "models"))


def _docker(
    definition: ContainerDefinition, environment: Mapping[str, str], *, base_dir: Path, port: int, name: str
) -> Launch:
    image = definition.image.docker or ""
    variables = {**environment, "SAGEMAKER_SAFE_PORT_RANGE": _SAFE_PORTS}
    options = [f"--env={key}={value}" for key, value in variables.items()]
    folders = [base_dir / name for name in ("model", "models") if (base_dir / name).exists()]
    # A folder that is a link is mounted by its own name.
    options += [f"--volume={folder.resolve()}:{_OPT_ML}/{folder.name}:ro" for folder in folders]
    run = ("docker", "run", "--rm", f"--name={name}", f"--publish=127.0.0.1:{port}:{port}")
    command = (*run, *options, *definition.image.docker_options, image, "serve")
    kill = ("docker", "rm", "--force", name)
    return Launch(command, dict(os.environ), PurePosixPath(_OPT_ML) / "models", kill)
