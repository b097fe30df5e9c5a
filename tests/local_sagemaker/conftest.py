"""Fixtures of the local platform's tests: images that are processes of this machine."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SMALL = str(Path(__file__).with_name("small_container.py"))


@pytest.fixture(scope="session")
def small_image() -> dict[str, Any]:
    """Our own small container."""
    return {"Command": [sys.executable, SMALL]}


@pytest.fixture(scope="session")
def absa_image() -> dict[str, Any]:
    """The server of this repository, started as its container starts it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        "Command": [str(ROOT / "serve" / "serve")],
        "Environment": {"ABSA_HOST": "127.0.0.1", "OMP_NUM_THREADS": "1", "PATH": path},
    }
