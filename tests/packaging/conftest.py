"""Packed tiny models, made once."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from absa_server.packaging.package import Packed, PackOptions, package
from absa_server.packaging.staging import Inputs
from tests.integration.server_process import cache_folder

Pack = Callable[..., Packed]


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """The one of all tests of this run: what they share is converted, and quantized, once."""
    return Path(cache_folder())


@pytest.fixture
def pack(tmp_path: Path, cache_dir: Path) -> Pack:
    """Packs inputs into `tmp_path / name`, unmeasured unless told."""

    def packed(inputs: Inputs, name: str = "model.tar.gz", *, cache: Path = cache_dir, **options: object) -> Packed:
        options = {"is_measured": False} | options
        return package(inputs, tmp_path / name, PackOptions(**options), cache_dir=cache, say=lambda _: None)

    return packed


def unpacked(archive: Path, into: Path) -> Path:
    """The archive's files, as SageMaker would unpack them."""
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    return into
