"""`absa status`: how an endpoint is. Knows what is typed and shown."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from absa_server.cloud.status import EndpointStatus, Scaling

Endpoint = Annotated[str, typer.Option(help="The endpoint's name.")]
Hours = Annotated[float, typer.Option(help="How far back the log is searched for errors.", min=0.01, max=168)]
MostErrors = Annotated[int, typer.Option("--errors", help="How many of them are shown.", min=0, max=1000)]
Region = Annotated[str | None, typer.Option(help="Region; else AWS_REGION, or the profile's.")]
Profile = Annotated[str | None, typer.Option(help="Profile of the AWS configuration.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]


def status(
    *,
    endpoint: Endpoint = "absa",
    hours: Hours = 3.0,
    errors: MostErrors = 10,
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Show an endpoint: state, instances now and wanted, scaling and what it did last, the last errors of its log.

    Exit code 1 when the endpoint is not in service, or is not there.

    For example:

    - `absa status --endpoint absa`

    - `absa status --endpoint absa --hours 24 --errors 50 --json`
    """
    from absa_server.cloud.errors import CloudError  # noqa: PLC0415  boto3 takes half a second
    from absa_server.cloud.inquiry import open_inquiry  # noqa: PLC0415
    from absa_server.cloud.status import read_status  # noqa: PLC0415

    console = Console(highlight=False)
    try:
        inquiry = open_inquiry(region, profile)
        since_ms = int((time.time() - hours * 3600) * 1000)
        found = read_status(inquiry, endpoint, since_ms=since_ms, most_errors=errors)
    except CloudError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        for part in _shown(found, hours):
            console.print(part)
    raise typer.Exit(0 if found.is_healthy else 1)


def _shown(found: "EndpointStatus", hours: float) -> Iterator[Table | str]:
    colour = "green" if found.is_healthy else "red"
    yield f"{escape(found.name)} in {found.region}: [{colour}]{found.status}[/{colour}], changed {found.changed}"
    if found.failure:
        yield f"[red]{escape(found.failure)}[/red]"
    table = _table("variant", "instances", "wanted", "weight", "image", title="instances")
    for one in found.variants:
        table.add_row(one.name, _word(one.current), _word(one.desired), _word(one.weight), escape(one.image or "–"))
    yield table
    for scaling in found.scaling:
        yield from _scaling(scaling)
    if not found.scaling and "scaling" not in found.unanswered:
        yield "scaling: none; the number of instances stays as it is"
    if found.errors:
        table = _table("at", "stream", "said", title=f"errors of the last {hours:g} h, newest first")
        for error in found.errors:
            table.add_row(error.at, escape(error.stream), escape(error.said))
        yield table
    elif "log" not in found.unanswered:
        yield f"errors: none in the log of the last {hours:g} h"
    for part, why in found.unanswered.items():
        yield f"[yellow]{part}: not to be had:[/yellow] {escape(why)}"


def _scaling(scaling: "Scaling") -> Iterator[Table | str]:
    table = _table(
        "policy", "metric", "target", title=f"scaling of {scaling.variant}: {scaling.least} to {scaling.most}"
    )
    for policy in scaling.policies:
        table.add_row(escape(policy.name), policy.metric, _word(policy.target))
    yield table
    if not scaling.activities:
        yield "activities: none yet"
        return
    table = _table("at", "status", "what", "why", title="what it did last")
    for one in scaling.activities:
        table.add_row(one.at, one.status, escape(one.description), escape(one.cause))
    yield table


def _table(*columns: str, title: str) -> Table:
    return Table(*columns, title=title, title_justify="left", box=None, pad_edge=False)


def _word(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
