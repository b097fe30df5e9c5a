"""One bucket, asked request by request: each retried while that may help, each answer checked against its pin.

Knows botocore's requests and answers; what the objects are for it does not know.
"""

import base64
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from model_loader.attempts import Attempts, TransientFailure
from model_loader.checksums import Checksum
from model_loader.errors import ArtifactInvalid, ArtifactReplaced
from model_loader.part import Part
from model_loader.pieces import PIECE_BYTES
from model_loader.s3_errors import is_untold, translated
from model_loader.sources import StoredFile

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MAX_LISTED = 20_000
# Strongest first. CRC32C, CRC64NVME and others are not recomputed: see checksums.py.
_CHECKSUM_FIELDS = {"ChecksumSHA256": "sha256", "ChecksumSHA1": "sha1", "ChecksumCRC32": "crc32"}


class S3Bucket:
    """Safe for concurrent calls. Every method raises what `s3_errors.translated` and `Attempts.call` raise."""

    def __init__(self, client: "S3Client", name: str) -> None:
        self._client = client
        self.name = name

    def uri(self, key: str) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.name}/{key}"

    def head(self, key: str, path: str, attempts: Attempts) -> StoredFile:
        """The object at `key` as it is now, called `path`, with its checksum where there is one to recompute."""

        def request() -> StoredFile:
            with translated("s3:GetObject", self.name, key):
                answer = self._head_or_told(key)
            return StoredFile(path, answer["ContentLength"], _tag(answer), checksum_of(answer))

        return attempts.call(request, doing=f"looking at {self.uri(key)}")

    def receive(self, key: str, part: Part, attempts: Attempts) -> None:
        """All of `part` that is wanted, of the pinned content; after a failure from its last whole piece on.

        Raises `ArtifactReplaced` when the content is gone.
        """

        def request() -> None:
            begin, end = part.at, part.end
            if begin == end:
                return
            with translated("s3:GetObject", self.name, key):
                answer = self._client.get_object(
                    Bucket=self.name, Key=key, Range=f"bytes={begin}-{end - 1}", IfMatch=f'"{part.file.tag}"'
                )
                with closing(answer["Body"]) as body:
                    self._check_pinned(answer, part.file, key)
                    _check_range(answer, f"bytes {begin}-{end - 1}/{part.file.size_bytes}")
                    while part.is_wanted:
                        attempts.deadline.check("reading")
                        if not (piece := body.read(min(PIECE_BYTES, part.end - part.at))):
                            raise TransientFailure(f"expected {end - begin:,} bytes, got {part.at - begin:,}")
                        part.put(piece)

        attempts.call(request, doing=f"reading {self.uri(key)}", progress=lambda: part.at)

    def list(self, prefix: str, attempts: Attempts) -> list[StoredFile]:
        """Objects below `prefix` (with its slash), which is cut off; empty "folder" objects are left out."""
        found: list[StoredFile] = []
        token: str | None = None
        while True:
            page = attempts.call(lambda token=token: self._page(prefix, token), doing=f"listing {self.uri(prefix)}")  # type: ignore[misc]
            found += _listed(page, prefix)
            if len(found) > MAX_LISTED:
                raise ArtifactInvalid(f"{self.uri(prefix)} holds more than {MAX_LISTED:,} objects: it is no model")
            if not (token := page.get("NextContinuationToken")):
                return found

    def _check_pinned(self, answer: Any, file: StoredFile, key: str) -> None:  # noqa: ANN401  botocore's dictionary
        """A store that ignores If-Match must not mix two contents either."""
        total = answer.get("ContentRange", "").rpartition("/")[2]
        if _tag(answer) != file.tag or (total.isdigit() and int(total) != file.size_bytes):
            raise ArtifactReplaced(f"{self.uri(key)} was replaced while it was read")

    def _page(self, prefix: str, token: str | None) -> Any:  # noqa: ANN401  botocore's dictionary
        more = {"ContinuationToken": token} if token else {}
        with translated("s3:ListBucket", self.name, prefix):
            return self._client.list_objects_v2(Bucket=self.name, Prefix=prefix, **more)  # type: ignore[arg-type]

    def _head_or_told(self, key: str) -> Any:  # noqa: ANN401  botocore's dictionary
        """HEAD; when it fails its answer has no body to tell why, and a GET of one byte is asked for the reason."""
        try:
            return self._client.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if is_untold(error):
                self._client.get_object(Bucket=self.name, Key=key, Range="bytes=0-0")["Body"].close()
            raise


def checksum_of(answer: Any) -> Checksum | None:  # noqa: ANN401  botocore's dictionary
    """The checksum of the whole object that can be recomputed from its bytes, or None.

    A COMPOSITE checksum is one of the parts' checksums, and an ETag is an MD5 only of what was uploaded in one piece
    and not encrypted with a KMS key.
    """
    for field, algorithm in _CHECKSUM_FIELDS.items():
        value = answer.get(field, "")
        if value and "-" not in value and answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
            return Checksum(algorithm, base64.b64decode(value))
    tag = _tag(answer)
    is_md5 = len(tag) == 32 and not answer.get("ServerSideEncryption", "").startswith("aws:kms")
    return Checksum("md5", bytes.fromhex(tag)) if is_md5 and not answer.get("SSECustomerAlgorithm") else None


def _tag(answer: Any) -> str:  # noqa: ANN401  botocore's dictionary
    return str(answer.get("ETag", "")).strip('"')


def _check_range(answer: Any, expected: str) -> None:  # noqa: ANN401  botocore's dictionary
    """Other bytes than were asked for must not shift the object."""
    if (found := answer.get("ContentRange")) != expected:
        raise TransientFailure(f"expected {expected}, got {found or 'an answer without a range'}")


def _listed(page: Any, prefix: str) -> Iterator[StoredFile]:  # noqa: ANN401  botocore's dictionary
    for entry in page.get("Contents", ()):
        # Consoles make empty objects that stand for folders.
        if not (entry["Key"].endswith("/") and entry["Size"] == 0):
            yield StoredFile(entry["Key"].removeprefix(prefix), entry["Size"], _tag(entry))
