"""Options that the commands of the cloud share, and how they end: 0, 1 after an error, 130 after Ctrl-C."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

Endpoint = Annotated[str, typer.Option(help="The endpoint's name; its stacks are named after it.")]
Region = Annotated[str | None, typer.Option(help="AWS Region; default: that of the environment or profile.")]
Profile = Annotated[str | None, typer.Option(help="Profile of the AWS configuration.")]
Templates = Annotated[Path, typer.Option(help="Folder of the templates: infra/ of this repository.")]
Shape = Annotated[
    str | None, typer.Option(help="single, multi-model, pipeline, pipeline-multi-model or async; at first: single.")
]
Image = Annotated[str | None, typer.Option(help="The image by digest, as `absa push-image` prints it.")]
ModelKey = Annotated[
    str | None, typer.Option(help="single, async: the artifact's key, such as models/v1/model.tar.gz.")
]
AspectKey = Annotated[str | None, typer.Option(help="pipelines: the key of the aspect model's artifact.")]
SentimentKey = Annotated[str | None, typer.Option(help="pipeline: the key of the sentiment model's artifact.")]
ModelsPrefix = Annotated[str | None, typer.Option(help="multi-model shapes: the prefix of the artifacts, models/…/.")]
InstanceType = Annotated[str | None, typer.Option(help="Such as ml.c6i.xlarge.")]
MinInstances = Annotated[int | None, typer.Option(help="Two or more, spread over zones.", min=2)]
MaxInstances = Annotated[int | None, typer.Option(help="Where scaling ends; 0: no scaling.", min=0)]
Values = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any other parameter of a template, Name=Value; may be given several times."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything and show what would be done; change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

DEFAULT_ENDPOINT = "absa"
DEFAULT_TEMPLATES = Path("infra")


def given_parameters(values: Sequence[str] | None, **named: str | int | None) -> dict[str, str]:
    """Parameters by the templates' names: what was given by an option of its own, and by `--set`."""
    given = {name: str(value) for name, value in named.items() if value is not None}
    for pair in values or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"expected Name=Value, got {pair!r}", param_hint="--set")
        given[name] = value
    return given


@contextmanager
def reported(console: Console, *, again: str) -> Iterator[None]:
    """Errors of the cloud and Ctrl-C, shown and made into exit codes; `again`: the command that goes on from there."""
    from absa_server.cloud.aws import translated  # noqa: PLC0415  boto3 is slow to import
    from absa_server.cloud.errors import CloudError  # noqa: PLC0415

    if find_spec("yaml") is None:
        console.print(
            "[red]error:[/red] templates cannot be read; install the extra: pip install 'absa-server\\[deploy]'"
        )
        raise typer.Exit(1)
    try:
        with translated():
            yield
    except CloudError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print(
            f"[yellow]interrupted.[/yellow] What CloudFormation has begun goes on without us; {again} continues.",
            soft_wrap=True,
        )
        raise typer.Exit(130) from None
