"""`absa destroy`: an endpoint's stacks taken away; data only when told. Knows what is typed and shown."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from absa_server.commands.cloud_options import DEFAULT_ENDPOINT, Endpoint, Profile, Region, Yes, reported
from absa_server.commands.stack_progress import StackProgress

if TYPE_CHECKING:
    from absa_server.cloud.destruction import Destruction

DeleteData = Annotated[
    bool, typer.Option("--delete-data", help="Delete artifacts, releases, results and images, too. For ever.")
]


def destroy(
    *,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    delete_data: DeleteData = False,
    yes: Yes = False,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Delete an endpoint and what stands around it: traffic, API, dashboard, alarms, endpoint, roles.

    The buckets (artifacts, releases, results) and the image repository stay, for other endpoints and for the next
    `absa deploy`; --delete-data takes them away as well, unless another endpoint lives from them. Asks before each of
    the two. Interrupted anywhere, the same command goes on.

    For example:

    - `absa destroy --endpoint absa`

    - `absa destroy --endpoint absa --delete-data --yes`
    """
    console = Console(highlight=False)
    with reported(console, again="the same command"):
        from absa_server.cloud.aws import open_clients  # noqa: PLC0415
        from absa_server.cloud.destruction import Destruction  # noqa: PLC0415

        clients = open_clients(region, profile)
        destruction = Destruction(clients, endpoint=endpoint, watch=(progress := StackProgress(console)))
        _remove_stacks(destruction, progress, endpoint, is_told=yes, console=console)
        if delete_data:
            _remove_data(destruction, progress, is_told=yes, console=console)
        else:
            console.print("Kept: artifacts, releases, results and images, in stack absa-storage", soft_wrap=True)


def _remove_stacks(
    destruction: "Destruction", progress: StackProgress, endpoint: str, *, is_told: bool, console: Console
) -> None:
    stacks = destruction.stacks()
    if not stacks:
        console.print(f"There is no stack of {escape(endpoint)}", soft_wrap=True)
        return
    console.print(f"To be deleted, in this order: {escape(', '.join(stacks))}", soft_wrap=True)
    _ask("Delete them?", is_told=is_told)
    with progress:
        destruction.remove_stacks()


def _remove_data(destruction: "Destruction", progress: StackProgress, *, is_told: bool, console: Console) -> None:
    destruction.refuse_if_shared()
    outputs = destruction.data()
    if not outputs:
        console.print("There is no stack absa-storage: nothing is kept in this Region")
        return
    console.print(f"To be deleted for ever: {escape(', '.join(outputs))}", soft_wrap=True)
    _ask("Delete all objects and images in them?", is_told=is_told)
    with progress:
        destruction.remove_data(lambda line: console.print(escape(line), soft_wrap=True))


def _ask(question: str, *, is_told: bool) -> None:
    if not is_told:
        typer.confirm(question, abort=True)
