"""Artifacts below a folder of this machine: archives and folders of files, by the rules that hold for S3 as well.

Links are refused wherever they stand below the store's folder: what one leads to is not what was put there.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_loader.archive import Limits, unpack
from model_loader.deadlines import Deadline
from model_loader.disk import write_file
from model_loader.errors import ArtifactInvalid, ArtifactMissing, ArtifactReplaced, StoreRefused
from model_loader.listing import check_listing, listing_token
from model_loader.manifest import FileEntry, check_fetched
from model_loader.pieces import PIECE_BYTES
from model_loader.refs import ModelRef
from model_loader.sources import Fetched, FetchStats, StoredFile, Version

_NO_FOLLOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class DirectorySource:
    """A `Source` over the folder `root`, which may appear and change while this object lives."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def resolve(self, name: str, *, deadline: Deadline) -> Version:
        """See `Source.resolve`. Each file is pinned by its size, its times and its number."""
        ref = ModelRef.parse(name)
        deadline.check(f"looking up {name}")
        path = self._root / name
        with _translated(path):
            self._refuse_links_to(path)
            files = tuple(_folder_files(path)) if ref.kind == "folder" else (_stored(path, path.name),)
        if not files:
            raise ArtifactMissing(f"{path}: the folder is empty; put the model's files there")
        size_bytes = sum(file.size_bytes for file in files)
        return Version(name, path.as_uri(), ref.kind, listing_token(files), size_bytes, files)

    def fetch(self, version: Version, into: Path, *, limits: Limits, deadline: Deadline) -> Fetched:
        """See `Source.fetch`."""
        begin = time.monotonic()
        check_listing(version, limits)
        path = self._root / version.name
        with self._unchanged(version, deadline), _translated(path):
            if version.kind == "archive":
                blocks = _blocks(path, version.files[0], deadline)
                files = unpack(blocks, into, uri=version.uri, limits=limits)
            else:
                files = {one.path: _copy(path / one.path, one, into, deadline) for one in version.files}
        check_fetched(into, files)
        stats = FetchStats(
            received_bytes=version.size_bytes,
            written_bytes=sum(entry.size_bytes for entry in files.values()),
            seconds=time.monotonic() - begin,
        )
        return Fetched(files, stats)

    def _refuse_links_to(self, path: Path) -> None:
        for step in (path, *path.parents):
            if step == self._root:
                return
            if step.is_symlink():
                raise ArtifactInvalid(f"{step} is a symbolic link; put the model itself there (`cp -rL`)")

    @contextmanager
    def _unchanged(self, version: Version, deadline: Deadline) -> Iterator[None]:
        """Whatever happens inside, a version that is not there any more afterwards is told as such."""
        try:
            yield
        finally:
            if self.resolve(version.name, deadline=deadline).token != version.token:
                raise ArtifactReplaced(f"{version.uri} changed while it was read")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactMissing(f"{path}: nothing is there; check the name and the store's folder") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ArtifactInvalid(f"{error.filename} is a symbolic link; put the file itself there") from error
        if error.errno not in {errno.EACCES, errno.EPERM}:
            raise
        raise StoreRefused(f"{error.filename}: this process may not read it; make it readable") from error


def _stored(file: Path, path: str) -> StoredFile:
    """`file` as it lies there. Raises `ArtifactInvalid` unless it is a plain file."""
    found = file.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise ArtifactInvalid(f"{file} is no plain file (a link or a folder?); put the file itself there (`cp -rL`)")
    return StoredFile(path, found.st_size, f"{found.st_mtime_ns}-{found.st_ctime_ns}-{found.st_ino}")


def _folder_files(root: Path) -> Iterator[StoredFile]:
    if not stat.S_ISDIR(root.lstat().st_mode):
        raise ArtifactInvalid(f"{root} is no folder; name an archive with its ending, .tar.gz or .tar")
    for folder, inner, names in os.walk(root, onerror=_raise):
        for name in sorted([*names, *(one for one in inner if (Path(folder) / one).is_symlink())]):
            file = Path(folder) / name
            yield _stored(file, file.relative_to(root).as_posix())


def _raise(error: OSError) -> None:
    raise error


def _copy(file: Path, stored: StoredFile, into: Path, deadline: Deadline) -> FileEntry:
    return write_file(into / stored.path, _blocks(file, stored, deadline))


def _blocks(file: Path, stored: StoredFile, deadline: Deadline) -> Iterator[bytes]:
    """The bytes of `file`, never of what a link leads to."""
    with open(os.open(file, _NO_FOLLOW), "rb", buffering=0) as stream:  # noqa: PTH123  pathlib cannot refuse links
        while block := stream.read(PIECE_BYTES):
            deadline.check(f"reading {stored.path}")
            yield block
