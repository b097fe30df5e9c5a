"""The S3 client that `S3Source` wants: short timeouts, no retries of its own, no checksums of its own."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def make_client(
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    connect_timeout_s: float = 3.0,
    read_timeout_s: float = 10.0,
    max_connections: int = 64,
) -> "S3Client":
    """A client for `S3Source`; what is None is left to botocore (variables, profile, role).

    `read_timeout_s` is for the next bytes, not for a whole answer. A request that is given up on keeps its thread for
    at most that long.
    """
    config = Config(
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        max_pool_connections=max_connections,
        # Attempts are counted, jittered and ended in attempts.py; two layers of them would multiply.
        retries={"total_max_attempts": 1, "mode": "standard"},
        # Ranges have no checksum to validate; whole objects are verified in checksums.py.
        response_checksum_validation="when_required",
        request_checksum_calculation="when_required",
    )
    # A session of its own: boto3's default one is not safe to be first used by several threads.
    session = boto3.session.Session(region_name=region)
    client: S3Client = session.client("s3", endpoint_url=endpoint_url, config=config)
    return client
