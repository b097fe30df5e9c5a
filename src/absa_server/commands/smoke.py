"""`absa smoke`: does a server, or an image, do what SageMaker will ask of it? A report, and exit code 1 if not."""

import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from absa_server.commands import server_checks
from absa_server.commands.container import Container, check_labels, image_size_bytes
from absa_server.commands.server_checks import CheckFailed, HeldRequest

READY_LIMIT_S = 300.0
STOP_LIMIT_S = 25.0  # SageMaker kills 30 s after SIGTERM

Url = Annotated[str | None, typer.Option(help="A running server, such as http://127.0.0.1:8080.")]
Image = Annotated[str | None, typer.Option(help="A container image to start, check and stop.")]
ModelDir = Annotated[
    Path | None, typer.Option(help="Models to mount read-only at /opt/ml/model.", exists=True, file_okay=False)
]
User = Annotated[str | None, typer.Option(help="User id to run the container as; default: the image's, root.")]
ReadOnly = Annotated[bool, typer.Option("--read-only", help="Give the container a read-only root and a /tmp.")]


def smoke(
    *,
    url: Url = None,
    image: Image = None,
    model_dir: ModelDir = None,
    user: User = None,
    read_only: ReadOnly = False,
) -> None:
    """Check a server: ping, one review, execution parameters; an image also stops while a request is in flight.

    For example:

    - `absa smoke --url http://127.0.0.1:8080`

    - `absa smoke --image absa-server --model-dir .demo/models --user 10001 --read-only`
    """
    console = Console(highlight=False)
    try:
        if image and model_dir and not url:
            _check_image(image, console=console, model_dir=model_dir, user=user, read_only=read_only)
        elif url and not image:
            address = urllib.parse.urlsplit(url).netloc or url
            _check_server(address, console=console, is_alive=lambda: True)
        else:
            raise typer.BadParameter("give either --url, or --image with --model-dir")
    except CheckFailed as failure:
        console.print(f"[red]FAILED[/red] {escape(str(failure))}")
        raise typer.Exit(1) from None
    console.print("[green]OK[/green]")


def _check_image(image: str, *, console: Console, model_dir: Path, user: str | None, read_only: bool) -> None:
    size_mb = image_size_bytes(image) / 1e6
    console.print(f"{image}: {size_mb:,.0f} MB, user {user or 'root'}, {'read-only' if read_only else 'writable'} root")
    check_labels(image)
    with Container(image, model_dir=model_dir, user=user, read_only=read_only) as container:
        try:
            _check_server(container.address(), console=console, is_alive=container.is_alive)
            _check_stop(container, console=console)
        except CheckFailed:
            console.print(escape(container.log_tail()))
            raise


def _check_server(address: str, *, console: Console, is_alive: Callable[[], bool]) -> None:
    ready_s = server_checks.wait_until_ready(
        address, limit_s=READY_LIMIT_S, is_alive=is_alive, say=lambda line: console.print(escape(line))
    )
    console.print(f"ready after {ready_s:.1f} s at {address}")
    server_checks.check_ping(address)
    server_checks.check_execution_parameters(address)
    begin = time.monotonic()
    aspects = server_checks.check_invocation(address)
    console.print(f"answered in {(time.monotonic() - begin) * 1000:.0f} ms: {escape(server_checks.REVIEW)}")
    console.print(_table(aspects))


def _table(aspects: list[dict[str, Any]]) -> Table:
    table = Table("aspect", "offsets", "polarity", "score")
    for aspect in aspects:
        offsets, score = f"{aspect['start']}–{aspect['end']}", aspect.get("polarity_score")
        table.add_row(
            escape(aspect["term"]), offsets, aspect.get("polarity") or "–", "–" if score is None else f"{score:.4f}"
        )
    return table


def _check_stop(container: Container, *, console: Console) -> None:
    """SIGTERM while a request is in flight: it is answered, and the process ends with 0 in time."""
    held = HeldRequest(container.address())
    sent = container.terminate()
    held.finish()
    answered_s = time.monotonic() - sent
    code = container.exit_code()
    stopped_s = time.monotonic() - sent
    if code != 0 or stopped_s > STOP_LIMIT_S:
        raise CheckFailed(f"SIGTERM: expected exit code 0 within {STOP_LIMIT_S} s, got {code} after {stopped_s:.1f} s")
    console.print(f"SIGTERM: request in flight answered after {answered_s:.1f} s, exit code 0 after {stopped_s:.1f} s")
