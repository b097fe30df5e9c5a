"""The front behind a port of this machine, until told to stop. Knows uvicorn, and no API."""

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    """uvicorn, which says when it is ready, and leaves the process's signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config, *, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tells when requests are taken."""
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()


async def serve(app: ASGIApp, listener: socket.socket, *, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
    """Answer on `listener` until `stop` is set; what is under way then is finished first."""
    config = uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False)
    server = _Server(config, on_ready=on_ready)
    # The public `serve` would take over SIGINT and SIGTERM, which end the containers, too.
    serving = asyncio.create_task(server._serve(sockets=[listener]))  # noqa: SLF001
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopped.cancel()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 chooses a free one."""
    return socket.create_server((host, port), backlog=2048)
