"""Artifacts below a folder: found, pinned, copied whole; links are refused wherever they stand."""

import math
import os

import pytest

from model_loader import (
    ArtifactError,
    ArtifactInvalid,
    ArtifactMissing,
    ArtifactReplaced,
    Deadline,
    DeadlineExceeded,
    DirectorySource,
    Limits,
    fetch_current,
)
from tests.model_loader.archives import tar_bytes, tar_gz_bytes

LIMITS = Limits(max_bytes=1 << 30)
FILES = {"aspect/config.json": b"{}", "model.safetensors": bytes(range(256)) * 10_000}
NAMES = ("models/a.tar.gz", "models/a.tar", "models/a")


@pytest.fixture
def store(tmp_path):
    """The same files as an archive, a plain archive and a folder."""
    root = tmp_path / "store"
    for path, data in FILES.items():
        file = root / "models" / "a" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    (root / "models/a.tar.gz").write_bytes(tar_gz_bytes(FILES))
    (root / "models/a.tar").write_bytes(tar_bytes(FILES))
    return root


@pytest.fixture
def into(tmp_path):
    """An empty folder to fetch into."""
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def forever():
    return Deadline(math.inf)


def on_disk(root):
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", NAMES)
def test_model_is_copied_as_it_lies_there(name, store, into):
    """Archives and folders alike, to the byte."""
    source = DirectorySource(store)
    version = source.resolve(name, deadline=forever())
    fetched = source.fetch(version, into, limits=LIMITS, deadline=forever())
    assert on_disk(into) == FILES
    assert fetched.files.keys() == FILES.keys()
    assert version == source.resolve(name, deadline=forever())


@pytest.mark.parametrize("name", ["models/none.tar.gz", "models/none", "models/a/model.safetensors/x"])
def test_missing_model_is_told(name, store):
    """Neither file nor folder there."""
    with pytest.raises(ArtifactMissing, match="nothing is there"):
        DirectorySource(store).resolve(name, deadline=forever())


@pytest.mark.parametrize("name", NAMES)
def test_replaced_model_is_fetched_anew(name, store, into):
    """The version that was pinned is never brought from other bytes."""
    source = DirectorySource(store)
    version = source.resolve(name, deadline=forever())
    changed = store / name / "model.safetensors" if name == "models/a" else store / name
    data = tar_gz_bytes({"model.safetensors": b"new"}) if name != "models/a" else b"new"
    (store / "next").write_bytes(data)
    (store / "next").replace(changed)
    with pytest.raises(ArtifactReplaced):
        source.fetch(version, into, limits=LIMITS, deadline=forever())
    brought, _ = fetch_current(source, version, into, limits=LIMITS, deadline=forever())
    assert brought.token != version.token
    assert (into / "model.safetensors").read_bytes() == b"new"


@pytest.mark.parametrize("name", NAMES)
def test_link_to_a_model_is_refused(name, store, tmp_path):
    """A link in the store, on the way to the model or the model itself."""
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "models").symlink_to(store / "models")
    with pytest.raises(ArtifactInvalid, match="symbolic link"):
        DirectorySource(tmp_path / "links").resolve(name, deadline=forever())


@pytest.mark.parametrize("target", ["config.json", ".."])
def test_link_inside_a_model_is_refused(target, store):
    """To a file or to a folder, wherever it leads."""
    (store / "models/a/aspect/link").symlink_to(target)
    with pytest.raises(ArtifactInvalid, match="no plain file"):
        DirectorySource(store).resolve("models/a", deadline=forever())


def test_pipe_is_refused(store):
    """Reading it would wait for ever."""
    os.mkfifo(store / "models/a/pipe")
    with pytest.raises(ArtifactInvalid, match="no plain file"):
        DirectorySource(store).resolve("models/a", deadline=forever())


def test_kind_must_fit_the_name(store):
    """A folder called like an archive, an archive called like a folder."""
    (store / "folder.tar.gz").mkdir()
    (store / "file").write_bytes(tar_gz_bytes(FILES))
    for name in ("folder.tar.gz", "file"):
        with pytest.raises(ArtifactError, match="folder"):
            DirectorySource(store).resolve(name, deadline=forever())


def test_empty_folder_is_no_model(store):
    """Nothing to load there."""
    (store / "empty").mkdir()
    with pytest.raises(ArtifactMissing, match="is empty"):
        DirectorySource(store).resolve("empty", deadline=forever())


def test_passed_deadline_ends_the_copy(store, into):
    """Before the next megabyte is read."""
    source = DirectorySource(store)
    version = source.resolve("models/a", deadline=forever())
    with pytest.raises(DeadlineExceeded, match="not done within 0 s"):
        source.fetch(version, into, limits=LIMITS, deadline=Deadline(0))
