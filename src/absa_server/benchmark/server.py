"""A server that the benchmark starts itself, or one that runs already. Knows its command line, `/ping`, one request."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from absa_server.benchmark.errors import ServerUnusable
from absa_server.benchmark.texts import Target

READY_LIMIT_S = 300.0
STOP_LIMIT_S = 30.0
POLL_S = 0.1


@contextmanager
def started_server(command: Sequence[str], *, target: Target, log: Path) -> Iterator[int]:
    """The process id of `command`, ready at `target` while the block runs; SIGTERM after it. `log` takes its output.

    Raises `ServerUnusable` when it ends or is not ready in time.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)  # noqa: S603
    try:
        _wait_until_ready(process, target, log)
        yield process.pid
    finally:
        _stop(process)


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def check_answer(target: Target, request: bytes, *, timeout_s: float = 70.0) -> None:
    """Send one request by itself. Raises `ServerUnusable` unless it is answered 200: nothing else is worth timing."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode("ascii").split("\r\n")[1:]
    headers = dict(line.split(": ", 1) for line in lines if not line.startswith(("Host", "Content-Length")))
    status, answer = _exchange(target, "POST", target.path, body=body, headers=headers, timeout_s=timeout_s)
    if status != 200:
        raise ServerUnusable(f"http://{target.address}{target.path}: expected 200, got {status} {answer[:300]!r}")


def _wait_until_ready(process: subprocess.Popen[bytes], target: Target, log: Path) -> None:
    end = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ServerUnusable(f"the server ended with exit code {process.returncode} at its start: {_tail(log)}")
        with suppress(ServerUnusable):
            if _exchange(target, "GET", "/ping", body=None, headers={}, timeout_s=2.0)[0] == 200:
                return
        time.sleep(POLL_S)
    raise ServerUnusable(f"the server was not ready within {READY_LIMIT_S:.0f} s: {_tail(log)}")


def _exchange(
    target: Target, method: str, path: str, *, body: bytes | None, headers: dict[str, str], timeout_s: float
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(target.host, target.port, timeout=timeout_s)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise ServerUnusable(f"{method} http://{target.address}{path}: no answer ({error})") from None
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(log: Path) -> str:
    return " | ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
