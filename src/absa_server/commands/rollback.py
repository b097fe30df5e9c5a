"""`absa rollback`: an earlier release of an endpoint. Knows what is typed and shown."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from absa_server.commands.cloud_options import DEFAULT_ENDPOINT, Endpoint, Profile, Region, reported
from absa_server.commands.stack_progress import StackProgress

if TYPE_CHECKING:
    from absa_server.cloud.releases import Release

To = Annotated[int | None, typer.Option(help="The release to return to; default: the one before the live one.", min=1)]
List = Annotated[bool, typer.Option("--list", help="Show the releases and end.")]


def rollback(
    *,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    to: To = None,
    show: List = False,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Return to the release before: its template, image, artifacts and sizes, blue/green like any update.

    Releases are kept in the artifacts bucket, below releases/. A rollback that was interrupted is continued by running
    it again; with --to it may be run as often as you like.

    For example:

    - `absa rollback --list`, then `absa rollback --to 3`

    - `absa rollback --endpoint absa`
    """
    console = Console(highlight=False)
    with reported(console, again="the same command"):
        from absa_server.cloud.aws import open_clients  # noqa: PLC0415
        from absa_server.cloud.deployment import Deployment  # noqa: PLC0415

        with StackProgress(console) as progress:
            deployment = Deployment(open_clients(region, profile), endpoint=endpoint, watch=progress)
            if show:
                console.print(_table(*deployment.live()))
                return
            release = deployment.rollback(to)
        console.print(f"{escape(endpoint)} is at release {release.number}, of {release.at}", soft_wrap=True)


def _table(live: "Release | None", releases: "list[Release]") -> Table:
    table = Table("release", "of", "after", "shape", "instances", "image", "artifact")
    for each in releases:
        values = each.parts["endpoint"].parameters
        artifact = values.get("ModelKey") if values.get("Shape") in {"single", "async"} else values.get("AspectKey")
        table.add_row(
            f"{each.number}{' (live)' if live and each.number == live.number else ''}",
            each.at,
            str(each.previous or "–"),
            values.get("Shape", ""),
            f"{values.get('MinInstances')}–{values.get('MaxInstances')} {values.get('InstanceType')}",
            values.get("Image", "").rpartition("sha256:")[2][:12],
            artifact or "",
        )
    return table
