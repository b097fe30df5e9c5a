"""Objects by address: `s3://bucket/key`, `file:///path` or a path. Blocks. Knows no model.

S3 is boto3's default client, so credentials, region and AWS_ENDPOINT_URL_S3 come from the environment as always.
"""

import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local_sagemaker.errors import StorageFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def read_object(address: str) -> bytes:
    """The whole object. Raises `StorageFailed`."""
    try:
        if (path := local_path(address)) is not None:
            return path.read_bytes()
        bucket, key = _bucket_and_key(address)
        return _s3().get_object(Bucket=bucket, Key=key)["Body"].read()
    except (OSError, BotoCoreError, ClientError) as error:
        raise StorageFailed(f"{address}: cannot be read: {error}") from error


def write_object(address: str, content: bytes) -> None:
    """Put the object there, whole or not at all. Raises `StorageFailed`."""
    try:
        if (path := local_path(address)) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
                part.write(content)
            Path(part.name).rename(path)
            return
        bucket, key = _bucket_and_key(address)
        _s3().put_object(Bucket=bucket, Key=key, Body=content)
    except (OSError, BotoCoreError, ClientError) as error:
        raise StorageFailed(f"{address}: cannot be written: {error}") from error


def list_objects(prefix: str) -> list[str]:
    """The addresses of all objects whose address begins with `prefix`, in order. Raises `StorageFailed`."""
    try:
        if (path := local_path(prefix)) is not None:
            files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.name}*")
            return sorted(str(file) for file in files if file.is_file())
        bucket, key = _bucket_and_key(prefix)
        pages = _s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        return [f"s3://{bucket}/{one['Key']}" for page in pages for one in page.get("Contents", ())]
    except (OSError, BotoCoreError, ClientError) as error:
        raise StorageFailed(f"{prefix}: cannot be listed: {error}") from error


def place_artifact(address: str, folder: Path) -> None:
    """Put the model at `address` where `folder` says: a tar.gz is unpacked, a local folder is linked to.

    Raises `StorageFailed`, leaving nothing at `folder`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = local_path(address)
    if path is not None and path.is_dir():
        folder.symlink_to(path.resolve(), target_is_directory=True)
        return
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        archive = Path(work) / "model.tar.gz"
        archive.write_bytes(read_object(address))
        unpacked = Path(work) / "model"
        try:
            with tarfile.open(archive, "r:gz") as opened:
                opened.extractall(unpacked, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise StorageFailed(f"{address}: expected a .tar.gz, got: {error}") from error
        unpacked.mkdir(exist_ok=True)
        unpacked.rename(folder)


def local_path(address: str) -> Path | None:
    """The path that an address names on this machine; None for S3."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme == "s3" else Path(address)


def _bucket_and_key(address: str) -> tuple[str, str]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


@cache
def _s3() -> "S3Client":
    client: S3Client = boto3.client("s3")
    return client
