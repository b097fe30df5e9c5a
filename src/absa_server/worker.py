"""The worker process that gunicorn starts: uvicorn, told how to speak HTTP and how to stop. Knows no application."""

import os
import signal
from types import FrameType
from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker

# Seconds that requests already begun may still take after SIGTERM, before they are cancelled.
DRAIN_S = 20


class ServerWorker(UvicornWorker):  # type: ignore[misc]  # uvicorn-worker ships no types
    """One uvicorn server inside one gunicorn worker.

    On SIGTERM uvicorn stops accepting, answers what it has begun, ends the application's lifespan and then raises the
    signal again for itself; gunicorn reports that end as "was sent SIGTERM" and exits 0.
    """

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "http": "httptools",
        "ws": "none",
        "lifespan": "on",
        "access_log": False,  # the application writes one line a request, with what it knows of it
        "proxy_headers": False,  # nothing here depends on who calls
        "server_header": False,
        "timeout_graceful_shutdown": DRAIN_S,
    }

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on SIGQUIT, which gunicorn sends when it is interrupted itself.

        uvicorn-worker 0.4 routes SIGQUIT to gunicorn's own handler, which only sets a flag that uvicorn never reads:
        the worker would go on until it is killed.
        """
        super().handle_exit(sig, frame)
        os.kill(os.getpid(), signal.SIGTERM)
