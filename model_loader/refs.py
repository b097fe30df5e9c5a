"""Names of models: paths relative to a store's prefix, and nothing that could lead out of it. Knows no store."""

from dataclasses import dataclass
from typing import Literal, Self

from model_loader.errors import NameInvalid

MAX_NAME_CHARS = 1024
# What file systems, and SageMaker for parts of S3 keys, accept between two slashes.
MAX_SEGMENT_BYTES = 255
ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar")

Kind = Literal["archive", "folder"]


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model's legal name, such as `restaurants` or `NewYork_NY/NewYork_NY.tar.gz`."""

    name: str

    @classmethod
    def parse(cls, name: str) -> Self:
        """The reference called `name`. Raises `NameInvalid` saying which rule it breaks."""
        if problem := path_problem(name):
            raise NameInvalid(f"expected a model's path relative to the store, got {_shown(name)}: {problem}")
        return cls(name)

    @property
    def kind(self) -> Kind:
        """What lies there: the name's end tells an archive (`.tar.gz`, `.tgz`, `.tar`) from a folder of files."""
        return "archive" if self.name.lower().endswith(ARCHIVE_SUFFIXES) else "folder"


def path_problem(path: str) -> str | None:
    """What is wrong with `path` as a relative path below some folder, or None."""
    if not path:
        return "it is empty"
    if len(path) > MAX_NAME_CHARS:
        return f"it has {len(path)} characters, {MAX_NAME_CHARS} are allowed"
    if "\0" in path or "\\" in path:
        return "it has a backslash or a NUL character"
    if path.startswith("/"):
        return "it begins with a slash"
    return next((problem for segment in path.split("/") if (problem := _segment_problem(segment))), None)


def _segment_problem(segment: str) -> str | None:
    if segment in {"", ".", ".."}:
        return f"it has the segment {segment!r}" if segment else "it has an empty segment"
    try:
        size = len(segment.encode())
    except UnicodeEncodeError:
        return "it is not Unicode text"
    return f"a segment has {size} bytes, {MAX_SEGMENT_BYTES} are allowed" if size > MAX_SEGMENT_BYTES else None


def _shown(name: str) -> str:
    return repr(name) if len(name) <= 100 else f"{name[:100]!r}…"
