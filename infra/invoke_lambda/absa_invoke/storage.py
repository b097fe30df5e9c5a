"""S3's part of the work: addresses, and a client whose own retries fit into a request's time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class Folder:
    """A bucket and a prefix, which is empty or ends with a slash."""

    bucket: str
    prefix: str

    def uri(self, name: str) -> str:
        """The address of an object below it."""
        return f"s3://{self.bucket}/{self.prefix}{name}"


def folder_of(uri: str) -> Folder:
    """The folder that `s3://bucket/prefix/` names."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return Folder(bucket, prefix)


def make_s3(session: boto3.Session) -> "S3Client":
    """S3's calls may be repeated, so botocore does: three tries of 5 s at most stay below the 26 s of a request."""
    config = Config(
        connect_timeout=1,
        read_timeout=5,
        retries={"mode": "standard", "total_max_attempts": 3},
        tcp_keepalive=True,
        max_pool_connections=2,
        signature_version="s3v4",
    )
    client: S3Client = session.client("s3", config=config)
    return client
