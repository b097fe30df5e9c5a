"""gunicorn's settings, made from ours: each public name here is one setting of gunicorn. Knows no HTTP and no model.

A bad environment ends the process here, before anything is bound. gunicorn gives the listening socket to its kernel
first and loads the application in the worker afterwards, so the port answers a connection from the first moment.

One worker: several would each hold their own models, so `POST /models` would reach one of them and invocations another
(docs/adr). A worker that dies after it was up (out of memory, a crash in native code) is started again; one that
cannot start ends the server with exit code 3, since trying for ever would hide the reason.
"""

import os
import sys

from absa_server.settings import ConfigurationError, Settings, read_settings
from absa_server.telemetry.logs import logging_config
from absa_server.worker import DRAIN_S


def _settings_or_exit() -> Settings:
    """The settings, or the end of the process: one line per bad variable on stderr, exit code 2."""
    try:
        return read_settings()
    except ConfigurationError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"absa-server: bad configuration: {line}\n")
        raise SystemExit(2) from None


_settings = _settings_or_exit()

bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
backlog = 2048
workers = 1
worker_class = "absa_server.worker.ServerWorker"
preload_app = False

# SageMaker sends SIGTERM and kills 30 s later. The worker has DRAIN_S to answer what it has begun, the rest of the time
# to close its models; then it is killed, and the server still exits 0.
graceful_timeout = DRAIN_S + 4
# Seconds the event loop may stand still before its worker is taken for stuck and started again. /ping would have failed
# for most of them; loading and inference happen on other threads and do not count.
timeout = 60
# Longer than the idle time of the load balancers in front (60 s), so that it is never we who close a connection that
# they are about to use.
keepalive = 75

# The heart beat's file. On memory, because touching one on a busy disk can stall the event loop.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  gunicorn makes an unlinked file in it
# A second way to control the server, which nothing here needs and which would write to the home directory.
control_socket_disable = True

loglevel = _settings.log_level.lower()
# The application applies it again in the worker, where uvicorn_worker has cut uvicorn's logger off by then.
logconfig_dict = logging_config(_settings.log_level)
