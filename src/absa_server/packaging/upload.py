"""What is uploaded and where to: a packed archive or a model's folder, and an `s3://` address. Knows no requests."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from absa_server.absa.artifact import ROLE_FOLDERS
from absa_server.packaging.errors import InvalidInputs
from absa_server.packaging.s3_upload import S3Upload, Uploaded, UploadOptions, Watch
from model_loader import open_folder
from model_loader.refs import ModelRef, path_problem
from model_loader.s3_client import make_client

_SCHEME = "s3://"
# Until the next bytes of an answer; completing an upload of many parts takes the store a while.
_READ_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """A bucket, and a key: an archive's, or a folder's without its slash."""

    bucket: str
    key: str


def parse_target(address: str, source: Path) -> Target:
    """Where `source` goes. An address that ends in a slash is the folder it is put into, under its own name.

    Raises `InvalidInputs` for an address that no server could name.
    """
    if not address.startswith(_SCHEME):
        raise InvalidInputs(f"expected an address such as s3://bucket/models/{source.name}, got {address!r}")
    bucket, _, key = address.removeprefix(_SCHEME).partition("/")
    key = f"{key}{source.name}" if not key or key.endswith("/") else key
    if not bucket or (problem := path_problem(key)):
        raise InvalidInputs(f"{address}: {problem if bucket else 'the bucket is missing'}")
    kind = "folder" if source.is_dir() else "archive"
    if ModelRef(key).kind != kind:
        raise InvalidInputs(
            f"{address}: {source.name} is {'a folder' if kind == 'folder' else 'a file'}, and servers read what ends "
            "in .tar.gz, .tgz or .tar as an archive and all else as a folder; name it so"
        )
    return Target(bucket, key)


def upload(
    source: Path,
    target: Target,
    options: UploadOptions,
    *,
    watch: Watch = lambda _: None,
    endpoint_url: str | None = None,
    region: str | None = None,
) -> Uploaded:
    """Uploads `source` and verifies it. Raises `PackagingError` and `ArtifactError`."""
    with closing(make_client(endpoint_url=endpoint_url, region=region, read_timeout_s=_READ_TIMEOUT_S)) as client:
        uploader = S3Upload(client, target.bucket, options, watch=watch)
        if not source.is_dir():
            return uploader.archive(source, target.key)
        folder = open_folder(source, own_folders=ROLE_FOLDERS)
        return uploader.folder(folder.root, list(folder.files), target.key)


def size_of(source: Path) -> int:
    """Bytes to upload. Raises `ArtifactError` for a folder that the server would refuse."""
    return source.stat().st_size if source.is_file() else open_folder(source, own_folders=ROLE_FOLDERS).size_bytes
