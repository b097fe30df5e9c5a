"""Fixtures of every test folder."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Property-based tests are not timed: a busy machine is no fault of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Before anybody imports torch. Tiny models gain nothing from several threads, and on a busy machine lose a hundredfold:
# each waits, spinning, for the others. Servers that tests start choose their own number.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `aspect/` and `sentiment/`: tiny real models, 64 tokens long, trained in seconds."""
    from tests.tiny_models import build_tiny_models  # noqa: PLC0415  torch takes seconds; only who asks pays for it

    return build_tiny_models(tmp_path_factory.mktemp("models"))
