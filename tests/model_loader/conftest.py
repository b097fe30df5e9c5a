"""A bucket of a real S3 server, and that server behind a proxy that fails as it is told."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from model_loader.s3_client import make_client
from model_loader.s3_source import S3Options, S3Source
from tests.faults.proxy import FaultProxy

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# Small parts and short timeouts: tests have small objects and wait for failures.
OPTIONS = S3Options(part_bytes=64 << 10, parallel=4, attempts=4)
READ_TIMEOUT_S = 1.0


@pytest.fixture
def connect() -> Iterator[Callable[[str], "S3Client"]]:
    """Makes clients for the server at a URL, with short timeouts, by the credentials of the environment then."""
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(
            closing(make_client(endpoint_url=url, region="us-east-1", read_timeout_s=READ_TIMEOUT_S))
        )
        # A fetch that was given up leaves requests behind that end by their own timeouts; the proxy is to outlive them.
        for thread in threading.enumerate():
            if thread.name.startswith("model-loader"):
                thread.join(10)


@pytest.fixture
def prefix() -> str:
    """A prefix of this test alone."""
    return f"{uuid.uuid4().hex[:12]}/"


@pytest.fixture
def put(s3, bucket, prefix) -> Callable[..., None]:
    """Puts an object below the test's prefix."""
    return lambda name, data, **more: s3.put_object(Bucket=bucket, Key=prefix + name, Body=data, **more)


@pytest.fixture
def proxy(s3_url) -> Iterator[FaultProxy]:
    """The server behind a proxy without rules yet."""
    parts = urlsplit(s3_url)
    with FaultProxy((parts.hostname, parts.port or 80)) as proxy:
        yield proxy


@pytest.fixture
def source(proxy, bucket, prefix, connect) -> S3Source:
    """The test's prefix as a source, through the proxy."""
    return S3Source(connect(proxy.url), bucket, prefix, options=OPTIONS)
