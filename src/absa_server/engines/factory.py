"""Chooses the engine for a model. Nothing outside this package knows which one runs.

torch on a GPU; on the CPU OpenVINO where it can, torch where it must: `ABSA_ENGINE=auto` tells every fallback once in
the log.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from absa_server.engines.conversion import ConversionLimits, compile_model, compile_tokenizer
from absa_server.engines.cores import available_cores
from absa_server.engines.folder_cache import FolderCache, FolderLease, NoCache
from absa_server.engines.network import is_compiled_only, packed_networks, read_info
from absa_server.engines.openvino import BLOB, StreamPlan, compile_blob, load_network, warm_up
from absa_server.engines.openvino_library import openvino
from absa_server.engines.precision import (
    Precision,
    WantedPrecision,
    choose_precision,
    cpu_features,
    cpu_signature,
)
from absa_server.errors import InvalidModel, NotConvertible
from absa_server.types import Engine

logger = logging.getLogger(__name__)

# Of what a conversion makes of the same model; what was kept of an earlier one is not used.
_REVISION = 2

EngineName = Literal["auto", "openvino", "torch"]


@dataclass(frozen=True, slots=True)
class NetworkSource:
    """A model folder to run. `content` tells a word that identifies its files; it is asked only when it matters."""

    folder: Path
    content: Callable[[], str]
    task: str
    labels: int


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """How networks are run; see the settings of the same names. `threads` 0 takes the cores this process may use.

    `has_gpu`: auto may try torch on a GPU, which imports torch (see `gpu.has_gpu`).
    """

    name: EngineName = "auto"
    precision: WantedPrecision = "auto"
    streams: int = 1
    threads: int = 0
    limits: ConversionLimits = field(default_factory=ConversionLimits)
    cache: FolderCache = field(default_factory=NoCache)
    has_gpu: bool = False

    @property
    def plan(self) -> StreamPlan:
        """Streams and threads as numbers."""
        return StreamPlan(self.streams, self.threads or max(1, available_cores() // self.streams))


def load_engine(source: NetworkSource, choice: EngineChoice) -> Engine:
    """The model of `source`, ready to infer.

    Raises `InvalidModel` for a model that cannot be loaded, or when the engine it needs is not installed.
    """
    if choice.name == "torch" or _belongs_on_gpu(source, choice):
        return _load_torch(source, choice)
    try:
        return _load_compiled(source, choice)
    except NotConvertible as error:
        if choice.name == "openvino":
            raise
        logger.warning(
            "engine_fallback", extra={"folder": source.folder.name, "engine": "torch", "reason": error.message}
        )
        return _load_torch(source, choice)


def prepare(choice: EngineChoice) -> None:
    """Brings the compiled engine's libraries into memory, where models may need them. Raises nothing."""
    if choice.name != "torch" and not choice.has_gpu:
        warm_up(choice.plan)


def _belongs_on_gpu(source: NetworkSource, choice: EngineChoice) -> bool:
    """auto, on a machine with a GPU that torch can use, for a model that has weights for it."""
    if choice.name != "auto" or not choice.has_gpu or choice.precision == "int8":
        return False
    if is_compiled_only(source.folder):  # networks for the CPU
        return False
    from absa_server.engines.torch_devices import is_cuda_usable  # noqa: PLC0415  imports torch

    if is_cuda_usable():
        return True
    logger.warning("gpu_unusable", extra={"folder": source.folder.name, "reason": "torch.cuda.is_available() is false"})
    return False


def load_tokenizer(source: NetworkSource, choice: EngineChoice) -> str:
    """The `tokenizer.json` of a model that has only a slow tokenizer. Raises `InvalidModel`."""

    def fill(out: Path) -> None:
        compile_tokenizer(source.folder, out, limits=choice.limits)

    lease = choice.cache.lease(f"tokenizer {source.content()}", fill)
    try:
        return next(lease.path.iterdir()).read_text(encoding="utf-8")
    finally:
        lease.release()


def _load_compiled(source: NetworkSource, choice: EngineChoice) -> Engine:
    packed = packed_networks(source.folder)
    features = cpu_features()
    precision = choose_precision(choice.precision, packed=packed, features=features)
    folder = packed.get("int8" if precision == "int8" else "f32")
    if folder is not None:
        return _load_with_blob(folder, precision, source.labels, choice)
    if is_compiled_only(source.folder):
        raise InvalidModel(
            f"ABSA_PRECISION={choice.precision}: {source.folder.name}/ has only {', '.join(packed)}, and no weights to "
            "make another network of; choose auto, or pack the artifact with its weights"
        )
    lease = converted_network(source, choice)
    try:
        return _load_with_blob(lease.path, precision, source.labels, choice)
    finally:
        lease.release()  # the weights stay mapped


def converted_network(source: NetworkSource, choice: EngineChoice) -> FolderLease:
    """The float32 network of a plain folder, converted now unless it is in the cache.

    Raises `NotConvertible`, and `InvalidModel` for a model that is broken.
    """

    def fill(out: Path) -> None:
        compile_model(source.folder, out, task=source.task, labels=source.labels, limits=choice.limits)

    return choice.cache.lease(
        f"network {_REVISION} {source.content()} {source.task} {source.labels} f32 {_version()}", fill
    )


def _load_with_blob(folder: Path, precision: Precision, labels: int, choice: EngineChoice) -> Engine:
    plan = choice.plan

    def fill(out: Path) -> None:
        compile_blob(folder, out, precision, plan)

    key = f"blob {read_info(folder).id} {precision} {plan.streams}x{plan.threads} {_version()}"
    lease = choice.cache.lease(f"{key} {cpu_signature(cpu_features())}", fill)
    try:
        return load_network(folder, precision, plan, blob=lease.path / BLOB, labels=labels)
    finally:
        lease.release()


def _version() -> str:
    return f"openvino {openvino().__version__}"


def _load_torch(source: NetworkSource, choice: EngineChoice) -> Engine:
    if is_compiled_only(source.folder):
        raise InvalidModel(
            f"ABSA_ENGINE={choice.name}: {source.folder.name}/ has only compiled networks, which torch does not run; "
            "choose auto or openvino, or pack the artifact with its weights"
        )
    try:
        from absa_server.engines.torch import load_torch_engine  # noqa: PLC0415  imports torch: seconds and 250 MB
    except ImportError as error:
        raise InvalidModel(
            f"ABSA_ENGINE={choice.name}: torch is not installed here; use the image built with torch, or install "
            f"absa-server[torch] ({error})"
        ) from error
    plan = choice.plan
    return load_torch_engine(
        source.folder,
        task=source.task,
        labels=source.labels,
        threads=plan.threads,
        streams=plan.streams,
        precision=choice.precision,
    )
