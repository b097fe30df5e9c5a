"""`absa serve`: the same server that the container runs, on this machine. Knows how to start gunicorn, and no HTTP."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from absa_server.settings import ConfigurationError, Settings, read_settings

GUNICORN = ("-m", "gunicorn", "--config", "python:absa_server.gunicorn_conf", "absa_server.app:create_app()")
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  where a server that listens everywhere is reached

ModelDir = Annotated[
    Path | None,
    typer.Option(help="Folder of the models; ABSA_MODEL_DIR.", exists=True, file_okay=False, resolve_path=True),
]
Port = Annotated[int | None, typer.Option(help="Port to listen on; SAGEMAKER_BIND_TO_PORT.", min=1, max=65535)]
Host = Annotated[str | None, typer.Option(help="Address to listen on; ABSA_HOST.")]
Announce = Annotated[bool, typer.Option("--announce", help="Print a request to try, once the server is ready.")]


def serve(
    *, model_dir: ModelDir = None, port: Port = None, host: Host = None, announce: Announce = False
) -> None:  # the process becomes gunicorn: no return
    """Serve models over HTTP, as the container does: `/ping`, `/invocations`, `/metrics`.

    Options stand for environment variables; everything else is configured by environment variables alone.

    For example:

    - `absa serve --model-dir .demo/models`

    - `absa serve --model-dir .demo/models --host 127.0.0.1 --port 9000 --announce`
    """
    given = {"ABSA_MODEL_DIR": model_dir, "SAGEMAKER_BIND_TO_PORT": port, "ABSA_HOST": host}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    settings = _settings_or_exit()
    _refuse_taken_port(settings)
    if announce:
        # It goes on beside gunicorn, which takes over this process, and ends with it.
        announcer = [sys.executable, "-m", "absa_server.commands.announce", _url(settings), str(os.getpid())]
        subprocess.Popen(announcer)  # noqa: S603
    os.execv(sys.executable, [sys.executable, *GUNICORN])  # noqa: S606


def _settings_or_exit() -> Settings:
    try:
        return read_settings()
    except ConfigurationError as error:
        for line in str(error).splitlines():
            typer.echo(f"absa-server: bad configuration: {line}", err=True)
        raise typer.Exit(2) from None


def _refuse_taken_port(settings: Settings) -> None:
    """Say at once what gunicorn would say after five attempts."""
    try:
        socket.create_connection((_reachable(settings.host), settings.port), timeout=1).close()
    except OSError:
        return
    typer.echo(f"Port {settings.port} of {settings.host} is in use; choose another with --port.", err=True)
    raise typer.Exit(1)


def _reachable(host: str) -> str:
    return WILDCARDS.get(host, host)


def _url(settings: Settings) -> str:
    host = _reachable(settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
