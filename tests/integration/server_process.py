"""The real server as a process of its own on a free loopback port: started as the container starts it, and stopped.

Knows `serve/serve`, signals and exit codes, and of HTTP only when the server is ready; nothing of answers.
"""

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
SERVE = ROOT / "serve" / "serve"

# Generous, because a test machine may be busy: a healthy server needs a tenth of them.
READY_S = 120.0
EXIT_S = 40.0  # SageMaker kills 30 s after SIGTERM
POLL_S = 0.1


@cache
def cache_folder() -> str:
    """One for all servers of this run: the models that tests share are converted once."""
    folder = tempfile.mkdtemp(prefix="absa-test-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class ServerFailed(AssertionError):
    """The server did not do what was asked of it in time; the message ends with the last lines of its log."""


class ServerProcess:
    """One server, started by the constructor. Leaving the `with` block stops it, which must give exit code 0.

    `url` can be asked as soon as the port is bound (`wait_until_bound`), and answers for a model after
    `wait_until_ready`. One thread at a time.
    """

    def __init__(self, environment: Mapping[str, str], *, log: Path, command: tuple[str, ...] = (str(SERVE),)) -> None:
        """`environment` is added to this process's own, from which every variable of the server is taken out.

        `log` takes stdout and stderr.
        """
        self.port = int(environment.get("SAGEMAKER_BIND_TO_PORT") or free_port())
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._is_end_seen = False
        given = {
            "ABSA_HOST": "127.0.0.1",
            "ABSA_CACHE_DIR": cache_folder(),
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            **environment,
        }
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=clean_environment() | given,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,  # so that nothing is found only because a test runs in the repository
                start_new_session=True,
            )

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill()  # what went wrong is on its way up already

    @property
    def pid(self) -> int:
        """The process that hears signals: gunicorn's, since `serve` becomes it."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """All that the server has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The JSON lines of the log, or those of the event `name`."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [line for line in lines if name is None or line.get("event") == name]

    def ping(self) -> int | None:
        """The status of `GET /ping`, or None where nobody answers."""
        try:
            return httpx.get(f"{self.url}/ping", timeout=5.0, trust_env=False).status_code
        except httpx.TransportError:
            return None

    def wait_until_bound(self, limit_s: float = READY_S) -> float:
        """Seconds until the port took a connection. Raises `ServerFailed`."""
        return self._wait_for(self._is_bound, "bound its port", limit_s)

    def wait_until_ready(self, limit_s: float = READY_S) -> float:
        """Seconds until `/ping` was 200. Raises `ServerFailed`."""
        return self._wait_for(lambda: self.ping() == 200, "answered /ping with 200", limit_s)

    def wait_for_event(self, name: str, limit_s: float = READY_S) -> float:
        """Seconds until the server has logged the event `name`. Raises `ServerFailed`."""
        return self._wait_for(lambda: bool(self.events(name)), f"logged {name}", limit_s)

    def wait_for_exit(self, limit_s: float = EXIT_S) -> int:
        """The exit code, once the process has ended by itself or by a signal. Raises `ServerFailed`."""
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise ServerFailed(self._explain(f"was still running after {limit_s:.0f} s")) from None
        self._is_end_seen = True
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the process that is PID 1 in a container."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """End the server by SIGTERM; nothing to do where the caller saw its end (`wait_for_exit`) already.

        Raises `ServerFailed` when it ended by itself before, or when its exit code is not 0.
        """
        if self._is_end_seen:
            return
        try:
            if not self.is_running:
                raise ServerFailed(self._explain(f"ended by itself, with exit code {self._process.returncode}"))
            self.send_signal(signal.SIGTERM)
            if (code := self.wait_for_exit()) != 0:
                raise ServerFailed(self._explain(f"expected exit code 0 after SIGTERM, got {code}"))
        finally:
            self.kill()

    def kill(self) -> None:
        """End the process and what it has started at once, as far as they still run."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _is_bound(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _wait_for(self, happened: Callable[[], bool], what: str, limit_s: float) -> float:
        begin = time.monotonic()
        while time.monotonic() - begin < limit_s:
            if happened():
                return time.monotonic() - begin
            try:
                code = self._process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
            raise ServerFailed(self._explain(f"ended with exit code {code} before it {what}"))
        raise ServerFailed(self._explain(f"had not {what} after {limit_s:.0f} s"))

    def _explain(self, what: str) -> str:
        tail = "\n".join(self.log.splitlines()[-20:])
        return f"the server {what}; end of its log:\n{tail}"


def clean_environment() -> dict[str, str]:
    """This process's environment without the server's variables, and with the interpreter's folder first on PATH."""
    ours = ("ABSA_", "SAGEMAKER_", "GUNICORN_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return kept | {"PATH": path, "PYTHONUNBUFFERED": "1"}


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
