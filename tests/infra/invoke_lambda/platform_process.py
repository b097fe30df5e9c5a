"""`local-sagemaker` as a process of its own, which has another environment than this one: another S3, for instance."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.integration.server_process import clean_environment, free_port

READY_S = 120.0
POLL_S = 0.1


@contextmanager
def local_sagemaker(configuration: dict[str, Any], folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The address where every endpoint of the configuration is in service."""
    file, log, port = folder / "configuration.json", folder / "platform.log", free_port()
    file.write_text(json.dumps(configuration))
    command = "from local_sagemaker.cli import main; main()"
    options = ["serve", str(file), "--port", str(port), "--work", str(folder / "instances")]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", command, *options],
            env=clean_environment() | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        try:
            process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"local-sagemaker is not in service:\n{log.read_text(errors='replace')[-3000:]}")
