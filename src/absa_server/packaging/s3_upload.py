"""Artifacts put into S3: an archive as one object, a folder as one object a file; verified, and never over another.

Every object is sent with a checksum of all its bytes that the loader recomputes: SHA-256 in one piece, CRC-32 of type
FULL_OBJECT in parts. A store that keeps no such checksum of parts gets the object in one piece, whose ETag is its MD5.
"""

import base64
import hashlib
import io
import math
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from absa_server.packaging.errors import UploadRefused
from model_loader import ArtifactError, Deadline, StoredFile, StoreRefused
from model_loader.attempts import Attempts
from model_loader.checksums import Verifier
from model_loader.errors import ArtifactMissing
from model_loader.manifest import MANIFEST_NAME
from model_loader.parallel import ordered
from model_loader.s3_bucket import S3Bucket
from model_loader.s3_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_BLOCK_BYTES = 1 << 20
_MOST_PARTS = 10_000

Watch = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """How objects are sent. Larger than `part_bytes`: in parts, `parallel` of them at a time, each held in memory."""

    is_overwriting: bool = False
    part_bytes: int = 16 << 20
    parallel: int = 4
    attempts: int = 8
    # The most that S3 takes in one piece.
    single_bytes: int = 5 << 30


@dataclass(slots=True)
class Uploaded:
    """What lies in the store now. `verified` counts objects by the checksum that the store keeps of them."""

    uri: str
    objects: int = 0
    bytes: int = 0
    unchanged: int = 0
    verified: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class S3Upload:
    """Uploads into one bucket. `watch` is told bytes as they are sent, and negative ones when they are sent again."""

    def __init__(
        self, client: "S3Client", bucket: str, options: UploadOptions, *, watch: Watch = lambda _: None
    ) -> None:
        self._client: Any = client
        self._bucket = S3Bucket(client, bucket)
        self._options = options
        self._watch = watch
        self._lock = threading.Lock()  # parts are told by several threads
        # Requests end by their own timeouts; an upload may take as long as its line needs.
        self._attempts = Attempts(Deadline(math.inf), limit=options.attempts)

    def archive(self, file: Path, key: str) -> Uploaded:
        """Puts `file` at `key`. Raises `UploadRefused` when something else lies there, and any `ArtifactError`."""
        done = Uploaded(self._bucket.uri(key))
        self._send(file, key, done)
        return done

    def folder(self, root: Path, files: Iterator[str] | list[str], prefix: str) -> Uploaded:
        """Puts the `files` of `root`, relative paths, below `prefix`, and deletes what else lies there.

        The manifest goes first: whoever fetches meanwhile finds files missing, and not a smaller artifact. Raises
        `UploadRefused` when anything lies there and may not be overwritten, and any `ArtifactError`.
        """
        done = Uploaded(self._bucket.uri(f"{prefix}/"))
        there = {file.path for file in self._bucket.list(f"{prefix}/", self._attempts)}
        if there and not self._options.is_overwriting:
            raise UploadRefused(_taken(done.uri))
        names = sorted(files, key=lambda name: (name != MANIFEST_NAME, name))
        if MANIFEST_NAME not in names:
            done.notes.append(f"no {MANIFEST_NAME}: a fetch during an upload may find half of it; pack the folder")
        for name in names:
            self._send(root / name, f"{prefix}/{name}", done)
        for name in sorted(there - set(names)):
            self._call("s3:DeleteObject", f"{prefix}/{name}", lambda key: self._client.delete_object(**self._at(key)))
        return done

    def _send(self, file: Path, key: str, done: Uploaded) -> None:
        size = file.stat().st_size
        done.objects += 1
        done.bytes += size
        there = self._there(key)
        if there is not None and self._is_same(file, there):
            done.unchanged += 1
            self._watch(size)
        elif there is not None and not self._options.is_overwriting:
            raise UploadRefused(_taken(self._bucket.uri(key)))
        elif size <= self._options.part_bytes:
            self._put_whole(file, key)
        else:
            self._put_large(file, key, size, done)
        self._verify(file, key, done)

    def _put_large(self, file: Path, key: str, size: int, done: Uploaded) -> None:
        upload = self._begin(key)
        is_whole_kept = upload.get("ChecksumType") == "FULL_OBJECT"
        if not is_whole_kept and size <= self._options.single_bytes:
            self._abort(key, upload["UploadId"])
            done.notes.append("sent in one piece: the store keeps no checksum of an object that comes in parts")
            self._put_whole(file, key)
            return
        try:
            parts = self._put_parts(file, key, size, upload["UploadId"])
            self._complete(file, key, upload["UploadId"], parts, checksum=_crc32(file) if is_whole_kept else None)
        except BaseException:
            self._abort(key, upload["UploadId"])
            raise

    def _put_whole(self, file: Path, key: str) -> None:
        sha256, md5 = _digests(file)

        def request(key: str) -> None:
            with closing(_Watched(file, self._watch)) as body, self._unless_there(file, key):
                self._client.put_object(
                    **self._at(key), **self._condition, Body=body, ChecksumSHA256=sha256, ContentMD5=md5
                )

        self._call("s3:PutObject", key, request)

    def _begin(self, key: str) -> Any:  # noqa: ANN401  botocore's dictionary
        return self._call(
            "s3:PutObject",
            key,
            lambda key: self._client.create_multipart_upload(
                **self._at(key), ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
            ),
        )

    def _put_parts(self, file: Path, key: str, size: int, upload_id: str) -> list[dict[str, Any]]:
        part_bytes = max(self._options.part_bytes, -(-size // _MOST_PARTS))
        numbers = range(1, -(-size // part_bytes) + 1)

        def put(number: int) -> dict[str, Any]:
            with file.open("rb") as stream:
                stream.seek((number - 1) * part_bytes)
                data = stream.read(part_bytes)
            md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
            answer = self._call(
                "s3:PutObject",
                key,
                lambda key: self._client.upload_part(
                    **self._at(key), UploadId=upload_id, PartNumber=number, Body=data, ContentMD5=md5
                ),
            )
            with self._lock:
                self._watch(len(data))
            return {"PartNumber": number, "ETag": answer["ETag"]}

        deadline = Deadline(math.inf)
        doing = f"uploading {self._bucket.uri(key)}"
        with ordered(put, numbers, width=self._options.parallel, deadline=deadline, doing=doing) as parts:
            return list(parts)

    def _complete(
        self, file: Path, key: str, upload_id: str, parts: list[dict[str, Any]], *, checksum: str | None
    ) -> None:
        whole = {"ChecksumCRC32": checksum, "ChecksumType": "FULL_OBJECT"} if checksum else {}

        def request(key: str) -> None:
            with self._unless_there(file, key):
                self._client.complete_multipart_upload(
                    **self._at(key), **self._condition, **whole, UploadId=upload_id, MultipartUpload={"Parts": parts}
                )

        self._call("s3:PutObject", key, request)

    def _abort(self, key: str, upload_id: str) -> None:
        """Parts that nobody completes are paid for; what is wrong now is on its way up already."""
        with suppress(ClientError, BotoCoreError):
            self._client.abort_multipart_upload(**self._at(key), UploadId=upload_id)

    @contextmanager
    def _unless_there(self, file: Path, key: str) -> Iterator[None]:
        """Refuses what another put there meanwhile; an earlier attempt of ours, whose answer was lost, is good."""
        try:
            yield
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status not in {404, 409, 412} or error.response["Error"].get("Code") == "NoSuchBucket":
                raise
            there = self._there(key)
            if there is not None and self._is_same(file, there):
                return
            if status == 404:
                raise
            raise UploadRefused(_taken(self._bucket.uri(key))) from error

    def _there(self, key: str) -> StoredFile | None:
        """The object at `key`; None too where this role may not look: then the store's own condition must do."""
        try:
            return self._bucket.head(key, key, self._attempts)
        except ArtifactMissing:
            return None
        except StoreRefused as error:
            if isinstance(error.__cause__, ClientError) and error.__cause__.response["Error"]["Code"] == "AccessDenied":
                return None
            raise

    def _is_same(self, file: Path, there: StoredFile) -> bool:
        """Whether the store has these very bytes, as far as it can tell."""
        if there.checksum is None or there.size_bytes != file.stat().st_size:
            return False
        verifier = Verifier(there.checksum)
        for block in _blocks(file):
            verifier.update(block)
        try:
            verifier.check("")
        except ArtifactError:
            return False
        return True

    def _verify(self, file: Path, key: str, done: Uploaded) -> None:
        """Raises `UploadRefused` when what lies there now is not what was sent."""
        there = self._there(key)
        if there is None:
            done.notes.append("this role may not look at what it put there (s3:GetObject): nothing was verified")
            return
        if there.size_bytes != file.stat().st_size or (there.checksum is not None and not self._is_same(file, there)):
            raise UploadRefused(
                f"{self._bucket.uri(key)} has {there.size_bytes:,} bytes with {there.checksum}, which is not what was "
                "sent: somebody else writes there, or the file changed meanwhile; upload it again"
            )
        by = there.checksum.algorithm if there.checksum else "size alone"
        done.verified[by] = done.verified.get(by, 0) + 1

    @property
    def _condition(self) -> dict[str, str]:
        return {} if self._options.is_overwriting else {"IfNoneMatch": "*"}

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket.name, "Key": key}

    def _call(self, action: str, key: str, request: Callable[[str], Any]) -> Any:  # noqa: ANN401
        def attempt() -> Any:  # noqa: ANN401
            with translated(action, self._bucket.name, key):
                return request(key)

        return self._attempts.call(attempt, doing=f"uploading {self._bucket.uri(key)}")


class _Watched(io.RawIOBase):
    """A file whose readers are watched, forwards and back."""

    def __init__(self, file: Path, watch: Watch) -> None:
        super().__init__()
        self._stream = file.open("rb")
        self._watch = watch

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._watch(len(data))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        before = self._stream.tell()
        now = self._stream.seek(offset, whence)
        self._watch(now - before)
        return now

    def tell(self) -> int:
        return self._stream.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._stream.close()
        super().close()


def _taken(uri: str) -> str:
    return f"{uri} is there already; upload under another name, or replace it with --overwrite"


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block


def _digests(file: Path) -> tuple[str, str]:
    """SHA-256 and MD5 in base64."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    for block in _blocks(file):
        sha256.update(block)
        md5.update(block)
    return base64.b64encode(sha256.digest()).decode(), base64.b64encode(md5.digest()).decode()


def _crc32(file: Path) -> str:
    value = 0
    for block in _blocks(file):
        value = zlib.crc32(block, value)
    return base64.b64encode(value.to_bytes(4, "big")).decode()
