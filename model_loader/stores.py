"""A store named by one string: `s3://bucket/prefix`, or the absolute path of a folder."""

from pathlib import Path

from model_loader.directory_source import DirectorySource
from model_loader.sources import Source


def open_store(uri: str, *, region: str | None = None) -> Source:
    """The store at `uri`. Asks nobody yet: what is wrong with it is told by the first request.

    `region` None leaves the Region to botocore.
    """
    if not uri.startswith("s3://"):
        return DirectorySource(Path(uri))
    # Half a second and 49 MB that a folder does not pay.
    from model_loader.s3_client import make_client  # noqa: PLC0415
    from model_loader.s3_source import S3Source  # noqa: PLC0415

    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return S3Source(make_client(region=region), bucket, prefix)
