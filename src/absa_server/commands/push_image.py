"""`absa push-image`: the image built, checked and pushed, its digest printed. Knows what is typed and shown."""

import importlib.metadata
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from absa_server.commands.cloud_options import DryRun, Profile, Region, reported

if TYPE_CHECKING:
    from absa_server.cloud.aws import Clients
    from absa_server.cloud.image import Repository

BUILT = "absa-server:push"

RepositoryUri = Annotated[
    str | None, typer.Option("--repository", help="ECR repository; default: that of the stack absa-storage.")
]
Local = Annotated[str | None, typer.Option("--image", help="A local image to push; default: build the Dockerfile.")]
Context = Annotated[Path, typer.Option(help="The folder with the Dockerfile.", exists=True, file_okay=False)]
BuildArg = Annotated[
    list[str] | None, typer.Option(help="Handed to docker build; TORCH_INDEX_URL=… names a CPU index for torch.")
]
Tag = Annotated[
    str | None, typer.Option(help="Default: version and the image's own id, so that no tag is taken twice.")
]


def push_image(
    *,
    repository: RepositoryUri = None,
    image: Local = None,
    context: Context = Path(),
    build_arg: BuildArg = None,
    tag: Tag = None,
    dry_run: DryRun = False,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Build the image for SageMaker, check what SageMaker would refuse, push it to ECR, print it by digest.

    Checked: linux/amd64 (an image built on an Apple laptop is not), both labels, a Docker manifest and not an OCI one,
    before the push and by ECR's own word after it. An image that is there already is not pushed again.

    For example:

    - `absa push-image --build-arg TORCH_INDEX_URL=…`

    - `absa push-image --image absa-server:latest --repository 111122223333.dkr.ecr.eu-west-1.amazonaws.com/absa-server`

    - `absa push-image --dry-run --repository 111122223333.dkr.ecr.eu-west-1.amazonaws.com/absa-server`
    """
    console = Console(highlight=False)
    with reported(console, again="the same command"):
        from absa_server.cloud.image import parse_repository  # noqa: PLC0415

        named = parse_repository(repository) if repository else None
        if dry_run:
            _show(named, image, context, build_arg or [], tag, console=console)
            return
        from absa_server.cloud.aws import open_clients  # noqa: PLC0415

        clients = open_clients(region or (named.region if named else None), profile)
        # Bad credentials are told before the build, not minutes later.
        clients.account_id()
        target = named or parse_repository(_repository_of_the_stack(clients))
        _push(clients, target, _built(image, context, build_arg or []), tag, console=console)


def _repository_of_the_stack(clients: "Clients") -> str:
    from absa_server.cloud.account import look  # noqa: PLC0415

    return look(clients, "absa").output("storage", "RepositoryUri")


def _built(image: str | None, context: Path, build_args: Sequence[str]) -> str:
    from absa_server.cloud import docker  # noqa: PLC0415
    from absa_server.cloud.image import build_command  # noqa: PLC0415

    if image is None:
        docker.show(build_command(str(context), BUILT, build_args, has_buildx=docker.has_buildx()))
    return image or BUILT


def _push(clients: "Clients", target: "Repository", image: str, tag: str | None, *, console: Console) -> None:
    from absa_server.cloud import docker  # noqa: PLC0415
    from absa_server.cloud.errors import BadImage  # noqa: PLC0415
    from absa_server.cloud.image import check_image, default_tag, pushed_digest  # noqa: PLC0415

    local = docker.inspect(image)
    check_image(local)
    console.print(f"{escape(image)}: {local.platform}, both labels, fit for SageMaker", soft_wrap=True)
    name = tag or default_tag(_version(), local)
    ecr = clients.ecr()
    digest = pushed_digest(ecr, target, name)
    if digest is None:
        docker.login(ecr, target.registry)
        docker.show(["tag", image, f"{target.uri}:{name}"])
        docker.show(["push", f"{target.uri}:{name}"])
        digest = pushed_digest(ecr, target, name)
    else:
        console.print(f"{target.uri}:{name} is there already", soft_wrap=True)
    if digest is None:
        raise BadImage(f"{target.uri}:{name}: docker has pushed it, ECR does not have it")
    console.print(f"\n{target.uri}@{digest}\n", soft_wrap=True)
    console.print(f"Next: absa deploy --image {target.uri}@{digest}", soft_wrap=True)


def _show(
    target: "Repository | None", image: str | None, context: Path, build_args: Sequence[str], tag: str | None, *,
    console: Console,
) -> None:  # fmt: skip
    from absa_server.cloud import docker  # noqa: PLC0415
    from absa_server.cloud.image import build_command  # noqa: PLC0415

    uri = target.uri if target else "<RepositoryUri of stack absa-storage>"
    name = f"{uri}:{tag or f'{_version()}-<image id>'}"
    commands = [] if image else [build_command(str(context), BUILT, build_args, has_buildx=docker.has_buildx())]
    commands += [
        ["image", "inspect", image or BUILT],
        ["login", "--username", "AWS", "--password-stdin", target.registry if target else "<registry>"],
        ["tag", image or BUILT, name],
        ["push", name],
    ]
    for command in commands:
        console.print(escape(shlex.join(["docker", *command])), soft_wrap=True)
    console.print("Nothing was built or pushed.")


def _version() -> str:
    return importlib.metadata.version("absa-server")
