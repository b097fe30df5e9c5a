"""Archives to try the loader with, made in memory."""

import gzip
import io
import tarfile
from collections.abc import Iterable, Mapping


def tar_bytes(files: Mapping[str, bytes], *, members: Iterable[tarfile.TarInfo] = ()) -> bytes:
    """A plain tar of `files` and of `members` without data."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for member in members:
            tar.addfile(member)
    return buffer.getvalue()


def tar_gz_bytes(files: Mapping[str, bytes], *, members: Iterable[tarfile.TarInfo] = ()) -> bytes:
    """The same, gzipped at the lowest level."""
    return gzip.compress(tar_bytes(files, members=members), compresslevel=1)


def member(name: str, kind: bytes, **fields: object) -> tarfile.TarInfo:
    """A member without data."""
    found = tarfile.TarInfo(name)
    found.type = kind
    for field, value in fields.items():
        setattr(found, field, value)
    return found
