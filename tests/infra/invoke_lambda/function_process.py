"""The function behind its gateway, started as a process of its own: its address, and what it has logged."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.integration.server_process import clean_environment

ROOT = Path(__file__).parents[3]
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=none, SignedHeaders=host, Signature=none"}


@dataclass
class FunctionProcess:
    """One function. `lines` are what it wrote to stdout: JSON, a line each."""

    client: httpx.Client
    lines: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """The answer to a signed request of the stage."""
        headers = SIGNED | arguments.pop("headers", {})
        return self.client.request(method, f"/live{path}", headers=headers, **arguments)

    def logged(self) -> list[dict[str, Any]]:
        """What has been written so far."""
        return [json.loads(line) for line in self.lines if line.strip()]


@contextmanager
def function(environment: Mapping[str, str], *options: str) -> Iterator[FunctionProcess]:
    """A function with this environment, and `options` of the front; ended with the block."""
    path = f"{ROOT / 'infra' / 'invoke_lambda'}:{ROOT / 'src'}:{ROOT}"
    # A machine's own AWS settings would send the function elsewhere.
    own = {name: value for name, value in clean_environment().items() if not name.startswith("AWS_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.infra.invoke_lambda.front", *options],
        env=own | {"PYTHONPATH": path} | environment,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    try:
        assert address.startswith("http"), "the function did not start"
        with httpx.Client(base_url=address, timeout=60.0, trust_env=False) as client:
            started = FunctionProcess(client)
            reader = threading.Thread(target=lambda: started.lines.extend(process.stdout))
            reader.start()
            yield started
    finally:
        process.terminate()
        process.wait(10)
        if address.startswith("http"):
            reader.join(10)
        process.stdout.close()
