"""The results bucket as a whole: writer, spool and uploader, opened together and closed in the order of the flow."""

from pathlib import Path

from absa_server.serving.results.spool import Spool, SpoolLimits
from absa_server.serving.results.uploader import S3Objects, UploadCounts, Uploader
from absa_server.serving.results.writer import SpoolWriter


class ResultsBucket:
    """Keeps answers under an `s3://bucket/prefix`. Lives beside one event loop; close it after the last answer."""

    def __init__(self, uri: str, folder: Path, *, spool_bytes: int, is_required: bool) -> None:
        self.spool = Spool(folder, SpoolLimits(spool_bytes))
        self.writer = SpoolWriter(self.spool, is_required=is_required)
        self._uploader = Uploader(self.spool, S3Objects(uri))

    @property
    def counts(self) -> UploadCounts:
        """What has been taken to S3 so far."""
        return self._uploader.counts

    def close(self) -> None:
        """Writes what waits, then uploads for a bounded time; the rest lies in the folder for the next process."""
        self.writer.close()
        self._uploader.close()
        self.spool.close()
