"""The `local-sagemaker` command. Knows options and the terminal, and no API."""

import asyncio
import logging
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from local_sagemaker.definitions import Definitions
from local_sagemaker.documents import read_definitions, read_json
from local_sagemaker.errors import LocalSageMakerError
from local_sagemaker.front import create_front
from local_sagemaker.hosting import Platform
from local_sagemaker.serving import listen, serve
from local_sagemaker.transform import run_transform
from local_sagemaker.transform_job import parse_job

app = typer.Typer(
    name="local-sagemaker",
    help="Play Amazon SageMaker's side for inference containers on this machine.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    add_completion=False,
)

Configuration = Annotated[Path, typer.Argument(help="The configuration (JSON).", exists=True, dir_okay=False)]
Job = Annotated[Path, typer.Argument(help="The job: CreateTransformJob as JSON.", exists=True, dir_okay=False)]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 chooses a free one.", min=0, max=65535)]
Work = Annotated[
    Path | None, typer.Option(help="Folder of instances' disks and containers' logs; default: a temporary one.")
]


@app.command("serve")
def serve_endpoints(
    configuration: Configuration, *, host: Host = "127.0.0.1", port: Port = 8100, work: Work = None
) -> None:
    """Create the endpoints and answer the SageMaker Runtime API for them, until Ctrl-C.

    A client needs nothing but the address:

        boto3.client("sagemaker-runtime", endpoint_url="http://127.0.0.1:8100")

    The configuration holds the very documents of CreateModel, CreateEndpointConfig and CreateEndpoint, and says what
    each Image is here:

        {"Images": {"absa-server": {"Command": ["serve"]}},
         "Models": [{"ModelName": "absa",
                     "PrimaryContainer": {"Image": "absa-server", "ModelDataUrl": "model.tar.gz"}}],
         "EndpointConfigs": [{"EndpointConfigName": "absa", "ProductionVariants": [{"VariantName": "AllTraffic",
                              "ModelName": "absa", "InitialInstanceCount": 2, "InstanceType": "ml.c6i.large"}]}],
         "Endpoints": [{"EndpointName": "absa", "EndpointConfigName": "absa"}]}
    """
    console = _console()
    try:
        definitions = read_definitions(configuration)
        with _folder(work) as folder:
            asyncio.run(_host(definitions, folder, _listen(host, port), console))
    except LocalSageMakerError as error:
        _fail(console, error)


@app.command("transform")
def transform(configuration: Configuration, job: Job, *, work: Work = None) -> None:
    """Run a batch transform job: start its container, send it the input's records, write `<input>.out`.

    The model is one of the configuration's; the job is the document of CreateTransformJob:

        {"TransformJobName": "reviews", "ModelName": "absa", "BatchStrategy": "MultiRecord",
         "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "reviews.jsonl"}},
                            "ContentType": "application/jsonlines", "SplitType": "Line"},
         "TransformOutput": {"S3OutputPath": "out", "Accept": "application/jsonlines", "AssembleWith": "Line"},
         "TransformResources": {"InstanceType": "ml.c6i.large", "InstanceCount": 1}}
    """
    console = _console()
    try:
        definitions = read_definitions(configuration)
        parsed = parse_job(read_json(job), definitions.models, folder=job.resolve().parent)
        with _folder(work) as folder, console.status(f"{parsed.name}: InProgress") as status:
            written = asyncio.run(
                run_transform(parsed, folder=folder, on_progress=lambda done: status.update(f"{done} requests"))
            )
    except LocalSageMakerError as error:
        _fail(console, error)
    for address in written:
        console.print(f"Completed: {address}")


async def _host(definitions: Definitions, folder: Path, listener: socket.socket, console: Console) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    host, port = listener.getsockname()[:2]
    platform = Platform(definitions, folder=folder)
    entering = asyncio.create_task(platform.__aenter__())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({entering, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not entering.done():  # Ctrl-C while the containers start
        entering.cancel()
        await asyncio.gather(entering, return_exceptions=True)
        return
    entering.result()
    try:
        url = f"http://{host}:{port}"
        await serve(create_front(platform), listener, stop=stop, on_ready=lambda: _announce(console, platform, url))
    finally:
        console.print("stopping the containers …")
        await platform.close()
        stopping.cancel()


def _announce(console: Console, platform: Platform, url: str) -> None:
    table = Table("endpoint", "variant", "instances", "containers", title=f"endpoint_url={url}")
    for name, endpoint in platform.endpoints.items():
        for fleet in endpoint.fleets.values():
            containers = " → ".join(one.hostname for one in fleet.variant.model.containers)
            table.add_row(name, fleet.variant.name, str(len(fleet.in_service)), containers)
    console.print(table)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        raise LocalSageMakerError(f"{host}:{port} cannot be listened on ({error}); choose another --port") from error


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    """A folder of this run's own: below `work` it stays, else it is temporary."""
    if work is None:
        with tempfile.TemporaryDirectory(prefix="local-sagemaker-") as folder:
            yield Path(folder)
        return
    work.mkdir(parents=True, exist_ok=True)
    yield Path(tempfile.mkdtemp(prefix="run-", dir=work))


def _console() -> Console:
    console = Console(stderr=True, highlight=False)
    handler = RichHandler(console=console, show_path=False, log_time_format="%X")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("local_sagemaker").setLevel(logging.INFO)
    return console


def _fail(console: Console, error: LocalSageMakerError) -> None:
    console.print(f"[red]{type(error).__name__}[/red] ", end="")
    console.print(str(error), markup=False)
    raise typer.Exit(1) from None


def main() -> None:
    """Run the command line of this process."""
    app()
