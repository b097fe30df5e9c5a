"""An AWS account in this process: moto, with what it lacks."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from .moto_updates import add_update_endpoint
from .scenes import Interruption, Scene, scene

REGION = "eu-west-1"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Clients made during the test talk to moto; the Region they should name."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "MOTO_ACCOUNT_ID": "111122223333",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):  # a real S3 of other tests is not this one
        monkeypatch.delenv(name, raising=False)
    add_update_endpoint(monkeypatch)
    with mock_aws():
        yield REGION


@pytest.fixture
def stage() -> Iterator[Scene]:
    """An empty account whose CloudFormation is played."""
    with scene() as found:
        yield found


@pytest.fixture
def counted() -> Interruption:
    """Clients that are never interrupted, and the calls they made."""
    return Interruption()
