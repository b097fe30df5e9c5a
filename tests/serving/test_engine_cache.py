"""Networks on disk: once made, kept; where nothing can be kept, made for this once."""

from pathlib import Path

import pytest

from absa_server.serving.cache_disk import CacheDisk, file_system
from absa_server.serving.engine_cache import EngineCache


def _fill(folder: Path) -> None:
    (folder / "file").write_text("content")


def test_folder_is_made_once(tmp_path: Path) -> None:
    """The second lease of a key, in another process too, finds what the first has made."""
    for _ in range(2):
        lease = EngineCache(CacheDisk(tmp_path)).lease(
            "key", _fill if not list(tmp_path.rglob("file")) else pytest.fail
        )
        assert (lease.path / "file").read_text() == "content"
        lease.release()


def test_unusable_folder_costs_only_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file lies where the cache should be: the folder is made elsewhere, and gone after its release."""
    (tmp_path / "cache").write_text("")
    lease = EngineCache(CacheDisk(tmp_path / "cache")).lease("key", _fill)
    assert (lease.path / "file").read_text() == "content"
    assert [record.message for record in caplog.records] == ["engine_cache_unavailable"]
    lease.release()
    assert not lease.path.exists()


def test_file_system_is_that_of_the_deepest_mount(tmp_path: Path) -> None:
    """Of several mounts on one point the last counts; a name that only begins alike is another folder."""
    mounts = tmp_path / "mounts"
    mounts.write_text("a / ext4 rw 0 0\nb /data ext4 rw 0 0\nc /data tmpfs rw 0 0\nd /dat xfs rw 0 0\n")
    assert file_system(Path("/data/x"), mounts) == "tmpfs"
    assert file_system(Path("/database"), mounts) == "ext4"
    assert file_system(Path("/"), tmp_path / "missing") is None
