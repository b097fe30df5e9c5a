"""Spool files become objects: all of them, whatever S3 does meanwhile."""

import gzip
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from absa_server.serving.results.spool import Spool, SpoolLimits
from absa_server.serving.results.uploader import Uploader, object_key

LIMIT_S = 20.0
SMALL_FILES = SpoolLimits(1 << 20, file_bytes=8)
LINE = b"1234567\n"


class FolderObjects:
    """Objects in a dict; `failing` puts raise."""

    def __init__(self, failing: int = 0) -> None:
        self.stored: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.failing = failing
        self.changed = threading.Condition()

    def put(self, key: str, body: bytes) -> None:
        with self.changed:
            self.puts.append(key)
            self.changed.notify_all()
            if len(self.puts) <= self.failing:
                raise ConnectionError("S3 is away")
            self.stored[key] = body

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, LIMIT_S), self.puts


def test_complete_files_are_uploaded_and_removed(tmp_path: Path):
    """Each file becomes one gzip object under its date and hour, and leaves the spool."""
    spool, objects = Spool(tmp_path, SMALL_FILES), FolderObjects()
    for _ in range(3):
        spool.append([LINE])
    uploader = Uploader(spool, objects)
    objects.wait_for(lambda: len(objects.stored) == 2)
    uploader.close()
    assert len(objects.stored) == 3
    assert all(gzip.decompress(body) == LINE for body in objects.stored.values())
    assert list(tmp_path.iterdir()) == []
    assert (uploader.counts.objects, uploader.counts.lines, uploader.counts.failures) == (3, 3, 0)


def test_failed_uploads_are_tried_again(tmp_path: Path):
    """A store that is away for three tries gets every file in the end, none twice under another key."""
    spool, objects = Spool(tmp_path, SMALL_FILES), FolderObjects(failing=3)
    for _ in range(3):
        spool.append([LINE])
    uploader = Uploader(spool, objects)
    objects.wait_for(lambda: len(objects.stored) == 2)
    uploader.close()
    assert (len(objects.stored), uploader.counts.failures, spool.pending_lines) == (3, 3, 0)


def test_close_gives_up_in_time_and_leaves_the_files(tmp_path: Path):
    """A store that never answers well costs the shutdown its bound, and nothing is lost."""
    spool, objects = Spool(tmp_path, SMALL_FILES), FolderObjects(failing=10**6)
    spool.append([LINE])
    uploader = Uploader(spool, objects, drain_s=0.2)
    uploader.close()
    assert Spool(tmp_path, SMALL_FILES).pending_lines == 1


def test_upload_repeated_after_a_crash_overwrites(tmp_path: Path):
    """A process killed between put and remove uploads the same bytes under the same key again."""
    spool, objects = Spool(tmp_path, SMALL_FILES), FolderObjects()
    spool.append([LINE])
    (path,) = spool.complete_files(close_open=True)
    objects.put(object_key(path), gzip.compress(path.read_bytes(), compresslevel=6, mtime=0))
    before = dict(objects.stored)
    Uploader(Spool(tmp_path, SMALL_FILES), objects).close()
    assert objects.stored == before


@pytest.mark.parametrize("name", ["20261124T17-ab12.jsonl"])
def test_key_tells_date_and_hour(name: str):
    """Partitions are named as query engines expect them."""
    assert object_key(Path(name)) == "dt=2026-11-24/hour=17/20261124T17-ab12.jsonl.gz"
