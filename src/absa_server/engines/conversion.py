"""Runs the converting child process (`compile.py`) within bounds of memory and time. Imports no torch.

Resident memory is watched, rather than limited by RLIMIT_AS: torch maps several times the address space it ever uses,
so that a limit on it would refuse small models and say nothing of large ones.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from absa_server.engines.compile import TOKENIZER
from absa_server.errors import InvalidModel, NotConvertible

logger = logging.getLogger(__name__)

_WATCH_S = 0.05
_LOGGED_CHARS = 2000
_MB = 1 << 20
_MODULE = "absa_server.engines.compile"
# One child at a time: each takes gigabytes, and all the cores it can get.
_TURN = threading.Lock()


@dataclass(frozen=True, slots=True)
class ConversionLimits:
    """What one conversion may take. A small model needs 0.7 GB and seconds, a base one 3 GB and half a minute."""

    memory_mb: int = 8192
    timeout_s: float = 300.0


def compile_model(folder: Path, out: Path, *, task: str, labels: int, limits: ConversionLimits) -> None:
    """Writes the float32 network of the model in `folder` to `out`, an existing folder (see network.py).

    Raises `InvalidModel` for a model that is broken, `NotConvertible` for one that does not convert within the limits.
    """
    _run(["network", str(folder), str(out), task, str(labels)], folder, limits)
    logger.info("model_converted", extra={"folder": folder.name})


def compile_tokenizer(folder: Path, out: Path, *, limits: ConversionLimits) -> Path:
    """Writes the fast form of the slow tokenizer in `folder` to `out`; the file. Raises `InvalidModel`."""
    _run(["tokenizer", str(folder), str(out)], folder, limits)
    return out / TOKENIZER


def _run(arguments: list[str], folder: Path, limits: ConversionLimits) -> None:
    with _TURN, tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as log:
        # -P: no module of the working directory stands in for one of ours.
        command = [sys.executable, "-P", "-m", _MODULE, *arguments]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=answer, stderr=log) as child:  # noqa: S603  our own command
            try:
                _watch(child, folder, limits)
            finally:
                child.kill()  # `with` waits for it
        outcome = _outcome(answer)
        if outcome is None:
            logger.warning("conversion_died", extra={"exit_code": child.returncode, "stderr": _tail(log)})
            raise NotConvertible(
                f"{folder.name}/ could not be converted: its process ended with {_ending(child.returncode)}; "
                "give the container more memory, or pack the artifact with its compiled network"
            )
    if outcome:
        raise {"NotConvertible": NotConvertible}.get(outcome["error"], InvalidModel)(outcome["message"])


def _watch(child: subprocess.Popen[bytes], folder: Path, limits: ConversionLimits) -> None:
    """Returns when the child has ended; raises `NotConvertible` when it takes more than it may."""
    deadline_s = time.monotonic() + limits.timeout_s
    while True:
        try:
            child.wait(timeout=_WATCH_S)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
        if _resident_bytes(child.pid) > limits.memory_mb * _MB:
            raise NotConvertible(
                f"{folder.name}/ could not be converted within {limits.memory_mb} MB; raise ABSA_COMPILE_MEMORY_MB, or "
                "pack the artifact with its compiled network"
            )
        if time.monotonic() > deadline_s:
            raise NotConvertible(
                f"{folder.name}/ could not be converted within {limits.timeout_s:.0f} s; raise ABSA_COMPILE_TIMEOUT_S, "
                "or pack the artifact with its compiled network"
            )


def _resident_bytes(pid: int) -> int:
    """0 where no /proc tells it, or the process has just ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _outcome(answer: IO[bytes]) -> dict[str, str] | None:
    """What the child told; None when it died before."""
    answer.seek(0)
    try:
        told: dict[str, str] = json.load(answer)
    except ValueError:
        return None
    return told


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode("utf-8", "replace")[-_LOGGED_CHARS:]


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
