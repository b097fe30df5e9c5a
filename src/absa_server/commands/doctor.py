"""`absa doctor`: would a deployment succeed? Knows what is typed and shown."""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from absa_server.cloud.findings import Finding
    from absa_server.cloud.inquiry import Inquiry

Shape = Annotated[str | None, typer.Option(help="single, multi-model, pipeline, pipeline-multi-model or async.")]
Endpoint = Annotated[str | None, typer.Option(help="The endpoint's name.")]
Image = Annotated[str | None, typer.Option(help="The image, as `absa push-image` prints it; or a local one's name.")]
Role = Annotated[str | None, typer.Option(help="ARN of the execution role.")]
ArtifactsBucket = Annotated[str | None, typer.Option(help="Bucket of the artifacts.")]
ResultsBucket = Annotated[str | None, typer.Option(help="Bucket of the results.")]
InstanceType = Annotated[str | None, typer.Option(help="ml.… of the endpoint.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Name=Value: any other parameter of endpoint.yaml.")]
Artifact = Annotated[
    str | None, typer.Option(help="Load this as the server would: a folder, a .tar.gz, or s3://… of either.")
]
Templates = Annotated[Path, typer.Option(help="Folder of the CloudFormation templates.")]
Rate = Annotated[float, typer.Option(help="Requests a second that API Gateway is to carry.", min=0)]
Region = Annotated[str | None, typer.Option(help="Region; else AWS_REGION, or the profile's.")]
Profile = Annotated[str | None, typer.Option(help="Profile of the AWS configuration.")]
Offline = Annotated[
    bool, typer.Option("--offline", help="Look at template, image and artifact alone; ask AWS nothing.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "dim"}


def doctor(  # noqa: PLR0913  one parameter an option
    *,
    shape: Shape = None,
    endpoint: Endpoint = None,
    image: Image = None,
    role: Role = None,
    artifacts_bucket: ArtifactsBucket = None,
    results_bucket: ResultsBucket = None,
    instance_type: InstanceType = None,
    settings: Set = None,
    artifact: Artifact = None,
    templates: Templates = Path("infra"),
    rate: Rate = 1000.0,
    region: Region = None,
    profile: Profile = None,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Check everything that a deployment needs, and change nothing: template, image, artifact, account, quotas.

    Each check is ok, a warning, failed (with what to do), or skipped (with what to name). Exit code 1 when one failed.
    What is not named is skipped: begin with little, and name more.

    For example:

    - `absa doctor --offline --artifact .demo/models --image absa-server`

    - `absa doctor --shape pipeline --image 111122223333.dkr.ecr.eu-west-1.amazonaws.com/absa-server@sha256:… --role
    arn:aws:iam::111122223333:role/absa --artifacts-bucket my-artifacts --results-bucket my-results --set
    AspectKey=models/v2/aspect.tar.gz`
    """
    console = Console(highlight=False)
    try:
        from absa_server.cloud.errors import CloudError  # noqa: PLC0415  boto3 takes half a second
        from absa_server.cloud.findings import has_failed  # noqa: PLC0415
        from absa_server.cloud.preflight import Intent, run_checks  # noqa: PLC0415
    except ModuleNotFoundError as error:
        console.print(f"[red]error:[/red] {error}; install the extra: absa-server\\[deploy]")
        raise typer.Exit(1) from None
    named = {
        "Shape": shape,
        "EndpointName": endpoint,
        "Image": image,
        "ExecutionRoleArn": role,
        "ArtifactsBucket": artifacts_bucket,
        "ResultsBucket": results_bucket,
        "InstanceType": instance_type,
    }
    parameters = {name: value for name, value in named.items() if value} | _pairs(settings or [])
    try:
        inquiry = None if offline else _inquiry(region, profile)
    except CloudError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None
    place = inquiry.region if inquiry else region or os.environ.get("AWS_REGION") or _region_of(image) or "eu-west-1"
    intent = Intent(templates, parameters, place, rate)
    checks = run_checks(intent, inquiry, open_artifact=_opener(artifact, place))
    findings = _told(checks, console=console, is_quiet=as_json)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        console.print(_table(findings))
    raise typer.Exit(1 if has_failed(findings) else 0)


def _pairs(settings: Iterable[str]) -> dict[str, str]:
    bad = [each for each in settings if "=" not in each]
    if bad:
        raise typer.BadParameter(f"--set: expected Name=Value, got {bad[0]!r}")
    return dict(each.split("=", 1) for each in settings)


def _inquiry(region: str | None, profile: str | None) -> "Inquiry":
    from absa_server.cloud.inquiry import open_inquiry  # noqa: PLC0415

    return open_inquiry(region, profile)


def _region_of(image: str | None) -> str | None:
    """The Region in an ECR name: offline there is no other to compare it with."""
    parts = (image or "").split(".")
    return parts[3] if len(parts) > 4 and parts[2] == "ecr" else None


def _opener(artifact: str | None, region: str) -> "Callable[[], Finding] | None":
    if artifact is None:
        return None

    def open_artifact() -> "Finding":
        from absa_server.commands.artifact_opening import check_artifact  # noqa: PLC0415

        return check_artifact(artifact, region=region)

    return open_artifact


def _told(checks: "Iterable[Finding]", *, console: Console, is_quiet: bool) -> "list[Finding]":
    """All findings; while they come, a line on the terminal says how far it is."""
    findings: list[Finding] = []
    if is_quiet:
        return list(checks)
    with console.status("checking …") as status:
        for finding in checks:
            findings.append(finding)
            status.update(f"checked: {escape(finding.check)} …")
    return findings


def _table(findings: "Iterable[Finding]") -> Table:
    table = Table("check", "", "found", box=None, pad_edge=False)
    for finding in findings:
        colour = _COLOURS[finding.status]
        remedy = f"\n[bold]{escape(finding.remedy)}[/bold]" if finding.remedy else ""
        message = f"{escape(finding.message)}{remedy}"
        table.add_row(escape(finding.check), f"[{colour}]{finding.status}[/{colour}]", message)
    return table
