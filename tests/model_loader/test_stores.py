"""A store by its string: a folder, or a prefix of a bucket."""

import pytest

from model_loader import Deadline, DirectorySource
from model_loader.stores import open_store


def test_absolute_path_is_a_folder(tmp_path):
    """What does not begin with s3:// is a folder of this machine."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("x")
    source = open_store(str(tmp_path))
    assert isinstance(source, DirectorySource)
    assert source.resolve("a", deadline=Deadline(10)).files[0].path == "file"


@pytest.mark.parametrize("end", ["", "/", "/models", "/models/"])
def test_s3_uri_is_bucket_and_prefix(end, s3, bucket):
    """With and without a prefix, with and without a slash at the end."""
    key = f"{end.strip('/')}/a.tar" if end.strip("/") else "a.tar"
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    version = open_store(f"s3://{bucket}{end}", region="us-east-1").resolve("a.tar", deadline=Deadline(10))
    assert version.uri == f"s3://{bucket}/{key}"
