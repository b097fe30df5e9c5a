"""`absa deploy` and `absa update`: templates handed to CloudFormation. Knows what is typed and shown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from absa_server.commands.cloud_options import (
    DEFAULT_ENDPOINT,
    DEFAULT_TEMPLATES,
    AspectKey,
    DryRun,
    Endpoint,
    Image,
    InstanceType,
    MaxInstances,
    MinInstances,
    ModelKey,
    ModelsPrefix,
    Profile,
    Region,
    SentimentKey,
    Shape,
    Templates,
    Values,
    given_parameters,
    reported,
)
from absa_server.commands.stack_progress import StackProgress

if TYPE_CHECKING:
    from absa_server.cloud.account import Found
    from absa_server.cloud.blueprint import Blueprint
    from absa_server.cloud.deployment import Request

Only = Annotated[
    list[str] | None,
    typer.Option(
        help="These parts alone: storage, network, roles, endpoint, alarms, dashboard, api, api-direct, traffic."
    ),
]
With = Annotated[
    list[str] | None, typer.Option("--with", help="Optional parts besides: network, api, api-direct, traffic.")
]
Offline = Annotated[
    bool, typer.Option("--offline", help="A dry run that asks no account: as if there were nothing yet.")
]


def deploy(  # noqa: PLR0913  one parameter an option
    *,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    shape: Shape = None,
    image: Image = None,
    model_key: ModelKey = None,
    aspect_key: AspectKey = None,
    sentiment_key: SentimentKey = None,
    models_prefix: ModelsPrefix = None,
    instance_type: InstanceType = None,
    min_instances: MinInstances = None,
    max_instances: MaxInstances = None,
    values: Values = None,
    only: Only = None,
    extra: With = None,
    dry_run: DryRun = False,
    offline: Offline = False,
    templates: Templates = DEFAULT_TEMPLATES,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Make every stack of an endpoint, or bring those that exist to the templates and values given.

    What is not given stays as it is. Checked before anything is sent; interrupted anywhere, the same command goes on.
    In order: storage, network, roles, endpoint, alarms, dashboard, API, traffic. Exit codes: 0 done, 1 failed,
    130 Ctrl-C.

    For example:

    - `absa deploy --only storage`, then `absa push-image`, then

    - `absa deploy --shape single --image 1234….amazonaws.com/absa-server@sha256:… --model-key models/v1/model.tar.gz`

    - `absa deploy --shape pipeline --image … --set NotifyEmail=ops@example.com --dry-run`

    - `absa deploy --offline --shape multi-model --image …`: check templates and values without an account
    """
    given = given_parameters(
        values, Shape=shape, Image=image, ModelKey=model_key, AspectKey=aspect_key, SentimentKey=sentiment_key,
        ModelsPrefix=models_prefix, InstanceType=instance_type, MinInstances=min_instances, MaxInstances=max_instances,
    )  # fmt: skip
    _run(
        endpoint, given, templates=templates, region=region, profile=profile, only=tuple(only or ()),
        extra=tuple(extra or ()), is_dry=dry_run, is_offline=offline, again="the same command",
    )  # fmt: skip


def update(  # noqa: PLR0913  one parameter an option
    *,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    shape: Shape = None,
    image: Image = None,
    model_key: ModelKey = None,
    aspect_key: AspectKey = None,
    sentiment_key: SentimentKey = None,
    models_prefix: ModelsPrefix = None,
    instance_type: InstanceType = None,
    min_instances: MinInstances = None,
    max_instances: MaxInstances = None,
    values: Values = None,
    dry_run: DryRun = False,
    templates: Templates = DEFAULT_TEMPLATES,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Release another image, artifact or size of an endpoint that is there; buckets, roles and API stay as they are.

    Blue/green, a canary first; alarms roll it back by themselves. The number of instances that scaling has come to is
    kept. Each update is a release, which `absa rollback` can return to. What is not given stays as it is.

    For example:

    - `absa update --image 1234….amazonaws.com/absa-server@sha256:…`

    - `absa update --model-key models/v2/model.tar.gz`: give every artifact a new key, never replace one in place

    - `absa update --instance-type ml.c6i.2xlarge`: in two steps, for SageMaker refuses it while scaling is registered
    """
    given = given_parameters(
        values, Shape=shape, Image=image, ModelKey=model_key, AspectKey=aspect_key, SentimentKey=sentiment_key,
        ModelsPrefix=models_prefix, InstanceType=instance_type, MinInstances=min_instances, MaxInstances=max_instances,
    )  # fmt: skip
    _run(
        endpoint, given, templates=templates, region=region, profile=profile, is_dry=dry_run, is_update=True,
        again="the same command",
    )  # fmt: skip


def _run(  # noqa: PLR0913  what both commands have in common
    endpoint: str, given: Mapping[str, str], *, templates: Path, region: str | None, profile: str | None, again: str,
    only: tuple[str, ...] = (), extra: tuple[str, ...] = (), is_dry: bool = False, is_offline: bool = False,
    is_update: bool = False,
) -> None:  # fmt: skip
    console = Console(highlight=False)
    with reported(console, again=again):
        from absa_server.cloud.aws import open_clients  # noqa: PLC0415
        from absa_server.cloud.deployment import Deployment, Request  # noqa: PLC0415

        request = Request(given, only, extra)
        if is_offline:
            _show_offline(endpoint, request, templates, region, console=console)
            return
        clients = open_clients(region, profile)
        with StackProgress(console) as progress:
            deployment = Deployment(clients, endpoint=endpoint, watch=progress)
            if is_dry:
                found, plans = deployment.plan(request, templates, is_update=is_update)
                _show_plan(found, plans, console=console)
                return
            outputs = deployment.deploy(request, templates, is_update=is_update)
        _show_outputs(outputs, endpoint, console=console)


def _show_offline(endpoint: str, request: "Request", templates: Path, region: str | None, *, console: Console) -> None:
    from absa_server.cloud.account import Found  # noqa: PLC0415
    from absa_server.cloud.deployment import rehearsed  # noqa: PLC0415
    from absa_server.cloud.resolver import Place  # noqa: PLC0415

    found = Found(endpoint, Place(region=region or Place().region, stack_name=endpoint), {})
    _show_plan(found, rehearsed(found, request, templates), console=console)
    console.print("No account was asked: names that AWS makes up are made up here.")


def _show_plan(found: "Found", plans: "Sequence[Blueprint]", *, console: Console) -> None:
    """What will change: of a stack that is there, from its values; of a new one, from the template's defaults."""
    console.print(f"account {found.place.account_id}, {found.place.region}")
    table = Table("stack", "is", Column("values that change", overflow="fold"))
    for each in plans:
        stack = found.stacks.get(each.part.name)
        before = stack.parameters if stack else each.defaults()
        changed = [f"{name}={value}" for name, value in each.parameters.items() if before.get(name) != value]
        state = stack.status if stack else "not there"
        table.add_row(f"{found.stack_name(each.part)}\n({each.part.purpose})", state, escape("\n".join(changed)) or "–")
    console.print(table)
    console.print("Templates and values were checked. Nothing was changed.")


def _show_outputs(outputs: Mapping[str, Mapping[str, str]], endpoint: str, *, console: Console) -> None:
    """One a line and whole: they are copied, and read by scripts."""
    for part, values in outputs.items():
        for name, value in values.items():
            console.print(f"{part}.{name}  {escape(value)}", soft_wrap=True)
    if "endpoint" in outputs:
        console.print(
            f"Try it: absa invoke --endpoint {escape(endpoint)} --text …   Go back: absa rollback", soft_wrap=True
        )
    elif "storage" in outputs:
        console.print("Next: absa push-image, and your artifacts below models/ of the artifacts bucket", soft_wrap=True)
