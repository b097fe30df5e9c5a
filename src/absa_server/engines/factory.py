"""Chooses the engine for a model folder. Nothing outside this package knows which one runs."""

from pathlib import Path
from typing import Literal

from absa_server.engines.cores import available_cores
from absa_server.errors import InvalidModel
from absa_server.types import Engine

EngineName = Literal["auto", "torch"]


def load_engine(name: EngineName, folder: Path, *, task: str, labels: int, threads: int) -> Engine:
    """The model in `folder`, ready to infer. `threads` 0 takes the cores this process may use.

    Raises `InvalidModel` for a model that cannot be loaded, or when the engine it needs is not installed.
    """
    try:
        from absa_server.engines.torch import load_torch_engine  # noqa: PLC0415  imports torch: seconds and 250 MB
    except ImportError as error:
        raise InvalidModel(
            f"ABSA_ENGINE={name}: torch is not installed here; use the image built with torch, or install "
            f"absa-server[torch] ({error})"
        ) from error
    return load_torch_engine(folder, task=task, labels=labels, threads=threads or available_cores())
