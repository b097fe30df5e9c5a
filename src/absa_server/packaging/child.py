"""Work in a process of its own, whose memory and libraries go with it; its answer is one line of JSON on stdout."""

import json
import subprocess
import sys
from typing import Any

from absa_server.packaging.errors import MeasurementFailed

_LOGGED_CHARS = 1000


def run_child(module: str, *arguments: str, timeout_s: float) -> Any:  # noqa: ANN401  what the module prints
    """What `python -m module arguments…` prints last. Raises `MeasurementFailed` with the end of its stderr."""
    # -P: no module of the working directory stands in for one of ours.
    command = [sys.executable, "-P", "-m", module, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise MeasurementFailed(f"{module} was not done within {timeout_s:.0f} s") from error
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        tail = done.stderr.strip()[-_LOGGED_CHARS:]
        raise MeasurementFailed(f"{module} ended with exit code {done.returncode}: {tail}") from error


def answer(found: object) -> None:
    """What the parent reads."""
    sys.stdout.write(json.dumps(found) + "\n")
