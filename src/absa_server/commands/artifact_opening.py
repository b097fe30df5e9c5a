"""An artifact opened as the server opens it: fetched, unpacked, checked, loaded, asked one sentence, closed again.

The one place where a command runs the serving code itself: any other check of the layout would be a second opinion.
"""

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from absa_server.cloud.findings import Finding, failed, ok

if TYPE_CHECKING:
    from absa_server.engines.factory import EngineName

CHECK = "artifact layout"
# A model is rarely larger; a bomb is.
MOST_BYTES = 64 << 30
FETCH_S = 900.0


def check_artifact(name: str, *, region: str | None = None, engine: "EngineName" = "auto") -> Finding:
    """Whether the server could serve `name`: a folder, a `.tar.gz`, or `s3://…` of either.

    `engine` is that of ABSA_ENGINE.
    """
    from absa_server.errors import AbsaError  # noqa: PLC0415  what serves takes seconds to import
    from model_loader import ArtifactError, CacheError  # noqa: PLC0415

    begin = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="absa-doctor-") as scratch:
            kind, resident_bytes = _open(_folder(name, Path(scratch), region), Path(scratch), engine)
    except (AbsaError, ArtifactError, CacheError, OSError) as error:
        return failed(CHECK, f"{name}: {error}", "repair the artifact; docs/artifacts.md has the layouts")
    seconds = time.monotonic() - begin
    return ok(CHECK, f"{name}: {kind}, {resident_bytes / 1e6:,.0f} MB in memory, loaded and tried in {seconds:.0f} s")


def _folder(name: str, scratch: Path, region: str | None) -> Path:
    """The artifact as a folder: itself, or fetched and unpacked below `scratch`."""
    from model_loader import Deadline, DirectorySource, Limits, Source, fetch_current  # noqa: PLC0415

    path = Path(name)
    source: Source
    if name.startswith("s3://"):
        from model_loader.s3_client import make_client  # noqa: PLC0415
        from model_loader.s3_source import S3Source  # noqa: PLC0415

        bucket, _, key = name.removeprefix("s3://").partition("/")
        prefix, _, last = key.strip("/").rpartition("/")
        source = S3Source(make_client(region=region), bucket, prefix)
    elif path.is_dir():
        return path
    else:
        source, last = DirectorySource(path.absolute().parent), path.name
    into = scratch / "model"
    into.mkdir()
    deadline = Deadline(FETCH_S)
    fetch_current(source, source.resolve(last, deadline=deadline), into, limits=Limits(MOST_BYTES), deadline=deadline)
    return into


def _open(folder: Path, scratch: Path, engine: "EngineName") -> tuple[str, int]:
    """What kind of model it is, and the bytes of its weights. Raises `AbsaError`."""
    from absa_server.engines.factory import EngineChoice  # noqa: PLC0415
    from absa_server.serving.cache_disk import CacheDisk  # noqa: PLC0415
    from absa_server.serving.engine_cache import EngineCache  # noqa: PLC0415
    from absa_server.serving.loading import EngineOptions, load_model  # noqa: PLC0415

    model = load_model(folder, EngineOptions(EngineChoice(engine, cache=EngineCache(CacheDisk(scratch / "engines")))))
    try:
        return model.kind, model.resident_bytes
    finally:
        model.close()
