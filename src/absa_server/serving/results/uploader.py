"""Takes complete spool files to S3, gzipped, under keys that a repetition overwrites. The only AWS call of `serving`.

    <prefix>/dt=2026-11-24/hour=17/<spool file's id>.jsonl.gz

An upload that fails is tried again for ever, with full jitter; nothing of that is ever seen by a request.
"""

import gzip
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from absa_server.serving.results.spool import Spool, hour_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

logger = logging.getLogger(__name__)

_POLL_S = 0.5
_LONGEST_PAUSE_S = 20.0
# Half a minute of SageMaker's patience after SIGTERM belongs to the requests in flight and the model.
DRAIN_S = 15.0


class ObjectStore(Protocol):
    """Where objects are put: S3 in service, a folder in tests of the loop alone."""

    def put(self, key: str, body: bytes) -> None:
        """Stores the object, over an earlier one of the same key. Raises whatever its library raises."""


class S3Objects:
    """One bucket and prefix. The client is made by the first `put`: importing boto3 takes half a second."""

    def __init__(self, uri: str) -> None:
        """`uri` is `s3://bucket/prefix`. Region, endpoint and credentials come from where boto3 finds them."""
        self._bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client: S3Client | None = None

    def put(self, key: str, body: bytes) -> None:
        """See `ObjectStore`. Raises botocore's errors."""
        if self._client is None:
            import boto3  # noqa: PLC0415  half a second and 49 MB that only a configured bucket pays
            from botocore.config import Config  # noqa: PLC0415

            # One attempt: the loop around this knows how long to wait, and is told of each failure.
            patience = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1})
            self._client = boto3.client("s3", config=patience)
        self._client.put_object(
            Bucket=self._bucket,
            Key=self._prefix + key,
            Body=body,
            ContentType="application/x-ndjson",
            ContentEncoding="gzip",
        )


@dataclass(slots=True)
class UploadCounts:
    """What the uploader has done so far."""

    objects: int = 0
    lines: int = 0
    bytes: int = 0
    failures: int = 0


class Uploader:
    """A thread that empties the spool; `close` drains it within a bound and ends the thread."""

    def __init__(
        self,
        spool: Spool,
        objects: ObjectStore,
        *,
        clock: Callable[[], float] = time.monotonic,
        drain_s: float = DRAIN_S,
    ) -> None:
        self.counts = UploadCounts()
        self._spool = spool
        self._objects = objects
        self._clock = clock
        self._drain_s = drain_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="results-upload", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Uploads what is there, for at most `drain_s`; what is left waits in the spool for the next process."""
        self._closing.set()
        self._thread.join(self._drain_s)

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            failures = 0 if self._upload_all() else failures + 1
            self._closing.wait(_pause_s(failures))
        self._drain()

    def _drain(self) -> None:
        end, failures = self._clock() + self._drain_s, 0
        while self._clock() < end and self._spool.complete_files(close_open=True):
            if not self._upload_all():
                failures += 1
                time.sleep(min(_pause_s(failures), max(0.0, end - self._clock())))

    def _upload_all(self) -> bool:
        """Whether every complete file was taken away; the first failure ends the turn."""
        return all(self._upload(path) for path in self._spool.complete_files())

    def _upload(self, path: Path) -> bool:
        try:
            content = path.read_bytes()
            # Without the time: the same file gives the same object, whoever uploads it again.
            body = gzip.compress(content, compresslevel=6, mtime=0)
            self._objects.put(object_key(path), body)
        except Exception as error:  # the loop's outermost edge: network, S3, disk; whatever it is, the file stays
            self.counts.failures += 1
            logger.warning("results_upload_failed", extra={"reason": f"{type(error).__name__}: {error}"})
            return False
        self._spool.remove(path)
        self.counts.objects += 1
        self.counts.lines += content.count(b"\n")
        self.counts.bytes += len(body)
        return True


def object_key(path: Path) -> str:
    """The key of a complete spool file, under the bucket's prefix: its date, its hour and its own name."""
    day, _, hour = hour_of(path).partition("T")
    return f"dt={day[:4]}-{day[4:6]}-{day[6:8]}/hour={hour}/{path.name}.gz"


def _pause_s(failures: int) -> float:
    """Full jitter under a doubling bound; the plain polling interval where nothing fails."""
    if failures == 0:
        return _POLL_S
    return _POLL_S + random.uniform(0, min(_LONGEST_PAUSE_S, _POLL_S * 2**failures))  # noqa: S311  no secret
