"""Fixtures of every test folder."""

import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from model_loader.s3_client import make_client

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


@pytest.fixture(scope="session")
def s3_url() -> str:
    """Where the real S3 server answers."""
    url = os.environ.get("AWS_ENDPOINT_URL_S3")
    if not url:
        pytest.skip("needs a real S3 server: set AWS_ENDPOINT_URL_S3 and AWS credentials for it")
    return url


@pytest.fixture(scope="session")
def s3(s3_url):
    """A client that talks to the server itself."""
    with closing(make_client(endpoint_url=s3_url, region="us-east-1")) as client:
        yield client


@pytest.fixture(scope="session")
def bucket(s3) -> Iterator[str]:
    """A bucket of this session, deleted with all it holds."""
    name = f"absa-test-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        for entry in page.get("Contents", ()):
            s3.delete_object(Bucket=name, Key=entry["Key"])
    s3.delete_bucket(Bucket=name)
