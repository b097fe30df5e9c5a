"""Artifacts in S3: archives unpacked while their ranges arrive side by side, folders of objects fetched alike.

Pinned by ETag (If-Match on every range), not by version id: reading versions needs s3:GetObjectVersion, which roles
that may read a model seldom have. Knows no cache and no environment.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from model_loader.archive import Limits, unpack
from model_loader.attempts import Attempts
from model_loader.checksums import Verifier
from model_loader.deadlines import Deadline
from model_loader.disk import write_file
from model_loader.errors import ArtifactMissing, ArtifactReplaced
from model_loader.listing import check_listing, listing_token
from model_loader.manifest import FileEntry, check_fetched
from model_loader.parallel import ordered
from model_loader.read_ahead import ReadAhead, read_ahead
from model_loader.refs import ModelRef
from model_loader.s3_bucket import S3Bucket
from model_loader.sources import Fetched, FetchStats, StoredFile, Version
from model_loader.width import Width

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


@dataclass(frozen=True, slots=True)
class S3Options:
    """How a fetch is cut, and the memory of one: `parallel` parts at most, by as many requests side by side.

    More in parallel: faster until the network or one core is full. `attempts` in a row may bring nothing of a part.
    """

    part_bytes: int = 8 << 20
    parallel: int = 8
    attempts: int = 8


class S3Source:
    """A `Source` over `s3://bucket/prefix`. `client` is best made by `s3_client.make_client`."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str = "", *, options: S3Options | None = None) -> None:
        self._bucket = S3Bucket(client, bucket)
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._options = options or S3Options()
        self._width = Width(self._options.parallel)

    def resolve(self, name: str, *, deadline: Deadline) -> Version:
        """See `Source.resolve`. One HEAD for an archive, one listing for a folder."""
        ref = ModelRef.parse(name)
        with self._attempts(deadline) as attempts:
            return self._resolve(ref, attempts, deadline)

    def fetch(self, version: Version, into: Path, *, limits: Limits, deadline: Deadline) -> Fetched:
        """See `Source.fetch`. Archives are never on disk themselves."""
        begin = time.monotonic()
        check_listing(version, limits)
        with self._attempts(deadline) as attempts, _missing_as_replaced():
            if version.kind == "archive":
                files = self._fetch_archive(version, into, limits, attempts, deadline)
            else:
                files = self._fetch_folder(version, into, attempts, deadline)
        check_fetched(into, files)
        stats = FetchStats(
            received_bytes=version.size_bytes,
            written_bytes=sum(entry.size_bytes for entry in files.values()),
            seconds=time.monotonic() - begin,
            requests=attempts.requests,
            retries=attempts.retries,
        )
        return Fetched(files, stats)

    @contextmanager
    def _attempts(self, deadline: Deadline) -> Iterator[Attempts]:
        """Requests under a deadline of their own, so that those under way end when the operation does."""
        own = Deadline(deadline.remaining_s)
        try:
            yield Attempts(own, limit=self._options.attempts)
        finally:
            own.cancel()

    def _resolve(self, ref: ModelRef, attempts: Attempts, deadline: Deadline) -> Version:
        # In a thread, so that the deadline ends it on time: a request can only end by its own timeouts.
        doing = f"looking up {ref.name}"
        with ordered(lambda one: self._find(one, attempts), [ref], width=1, deadline=deadline, doing=doing) as found:
            return next(found)

    def _find(self, ref: ModelRef, attempts: Attempts) -> Version:
        key = self._prefix + ref.name
        if ref.kind == "archive":
            file = self._bucket.head(key, ref.name.rpartition("/")[2], attempts)
            return Version(ref.name, self._bucket.uri(key), "archive", file.tag, file.size_bytes, (file,))
        files = tuple(self._bucket.list(f"{key}/", attempts))
        uri = self._bucket.uri(f"{key}/")
        if not files:
            raise ArtifactMissing(f"{uri}: no objects there; an archive is named with its ending, .tar.gz or .tar")
        size_bytes = sum(file.size_bytes for file in files)
        return Version(ref.name, uri, "folder", listing_token(files), size_bytes, files)

    def _fetch_archive(
        self, version: Version, into: Path, limits: Limits, attempts: Attempts, deadline: Deadline
    ) -> dict[str, FileEntry]:
        (file,) = version.files
        verifier = Verifier(file.checksum)
        with self._reading(version, version.files, attempts, deadline) as reader:
            files = unpack(verifier.watch(reader.pieces(file)), into, uri=version.uri, limits=limits)
        verifier.check(version.uri)
        return files

    def _fetch_folder(
        self, version: Version, into: Path, attempts: Attempts, deadline: Deadline
    ) -> dict[str, FileEntry]:
        pinned = self._pinned(version, attempts, deadline)
        files: dict[str, FileEntry] = {}
        with self._reading(version, pinned, attempts, deadline) as reader:
            for file in pinned:
                verifier = Verifier(file.checksum)
                files[file.path] = write_file(into / file.path, verifier.watch(reader.pieces(file)))
                verifier.check(f"{version.uri}{file.path}")
        # Files that were added or removed meanwhile are no part of any version.
        if self._resolve(ModelRef(version.name), attempts, deadline).token != version.token:
            raise ArtifactReplaced(f"{version.uri} changed while it was read")
        return files

    def _pinned(self, version: Version, attempts: Attempts, deadline: Deadline) -> list[StoredFile]:
        """The listed files with their checksums, which listings do not tell."""
        with ordered(
            lambda file: self._bucket.head(self._key(version, file), file.path, attempts),
            version.files,
            width=self._options.parallel,
            deadline=deadline,
            doing=f"looking at {version.uri}",
        ) as heads:
            found = list(heads)
        if any(head.tag != file.tag for head, file in zip(found, version.files, strict=True)):
            raise ArtifactReplaced(f"{version.uri} changed while it was read")
        return [replace(file, checksum=head.checksum) for head, file in zip(found, version.files, strict=True)]

    def _reading(
        self, version: Version, files: Sequence[StoredFile], attempts: Attempts, deadline: Deadline
    ) -> AbstractContextManager[ReadAhead]:
        return read_ahead(
            lambda part: self._bucket.receive(self._key(version, part.file), part, attempts),
            files,
            part_bytes=self._options.part_bytes,
            width=self._width,
            deadline=deadline,
            doing=f"fetching {version.uri}",
        )

    def _key(self, version: Version, file: StoredFile) -> str:
        name = f"{self._prefix}{version.name}"
        return name if version.kind == "archive" else f"{name}/{file.path}"


@contextmanager
def _missing_as_replaced() -> Iterator[None]:
    try:
        yield
    except ArtifactMissing as error:
        raise ArtifactReplaced(f"it was there when the fetch began: {error}") from error
