"""The compiled engine: an OpenVINO network on the CPU. Knows no torch, and not where networks are kept."""

import logging
import queue
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from absa_server.engines.buckets import bucket_length, pad_columns
from absa_server.engines.idle import IdleEngines
from absa_server.engines.memory import (
    forget_pages,
    keep_little,
    mapping_lock,
    return_free_memory,
    return_free_memory_at_times,
)
from absa_server.engines.network import GRAPH, WEIGHTS, NetworkInfo, read_info
from absa_server.engines.openvino_library import openvino
from absa_server.engines.padding_free import MARK, pack
from absa_server.engines.precision import Precision, cpu_features, has_bf16
from absa_server.errors import EngineFailed, InvalidModel
from absa_server.types import FloatArray, IntArray

logger = logging.getLogger(__name__)

BLOB = "network.blob"
# Prepared kernels that are kept for shapes seen before. Higher: more memory, about 0.2 MB a shape; lower: shapes that
# come again are prepared again; 0 is worst in both (docs/engines.md has the figures).
_KEPT_SHAPES = 16
# Tokens of the largest batch, which decides the memory (docs/engines.md); larger ones are hardly faster.
_LINES_TOKENS, _PADDED_TOKENS = 384, 512
_idle_engines = IdleEngines()


def rest_engines() -> None:
    """All engines that do not infer give back what they keep between calls, however short ago they worked."""
    _idle_engines.rest_all()


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """How cores are shared: `streams` calls side by side, `threads` of them in each."""

    streams: int
    threads: int


class OpenVinoEngine:
    """A compiled network. As many threads as there are streams infer side by side; more wait for a free stream."""

    def __init__(self, compiled: Any, info: NetworkInfo, *, name: str, streams: int, weights: Path) -> None:  # noqa: ANN401  openvino has no types
        self.name = name
        self.streams = streams
        self.resident_bytes = weights.stat().st_size
        self._info = info
        self._weights = weights
        self._is_fresh = True
        self._inputs = [port.any_name for port in compiled.inputs]
        self.is_padding_free = MARK in self._inputs
        self.batch_tokens = _LINES_TOKENS if self.is_padding_free else _PADDED_TOKENS
        self._compiled = compiled
        # The request used last is the one whose buffers are warm.
        self._requests: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())
        self._is_closed = False

    def infer(self, input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray | None) -> FloatArray:
        """See `types.Engine`."""
        self._check(input_ids)
        types = np.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        if self.is_padding_free:
            lines = pack(input_ids, attention_mask, types)
            return lines.unpack(self._infer(lines.inputs))
        return self._infer_padded(input_ids, attention_mask, types)

    def _infer_padded(self, *padded: IntArray) -> FloatArray:
        length = padded[0].shape[1]
        columns = pad_columns(padded, bucket_length(length, self._info.max_tokens), fills=(0, 0, 0))
        logits = self._infer(dict(zip(("input_ids", "attention_mask", "token_type_ids"), columns, strict=True)))
        return logits if logits.ndim == 2 else logits[:, :length]

    def _infer(self, given: Mapping[str, Any]) -> FloatArray:
        request = self._requests.get()
        try:
            logits = self._run(request, {name: given[name] for name in self._inputs})
            _idle_engines.used(self)  # with the request in hand: `close` waits for it, and then has the last word
        finally:
            self._requests.put(request)
        return_free_memory_at_times()
        return logits

    def _check(self, input_ids: IntArray) -> None:
        """The network itself would answer ids and positions that it has no weights for."""
        if self._is_closed:
            raise EngineFailed("the model has been unloaded")
        length, most = input_ids.shape[1], self._info.max_tokens
        if (most is not None and length > most) or not 0 <= input_ids.min() <= input_ids.max() < self._info.vocabulary:
            raise EngineFailed(
                f"the model failed on a batch of {input_ids.shape[0]} rows of {length} tokens: it has {most} positions "
                f"and ids below {self._info.vocabulary}"
            )

    def _run(self, request: Any, given: Mapping[str, IntArray]) -> FloatArray:  # noqa: ANN401
        if request is None:  # left by `close` for all who still wait
            raise EngineFailed("the model has been unloaded")
        try:
            # Inputs are read in place; outputs are copied, since the request's buffer is written by its next call.
            outputs = request.infer(given, share_inputs=True, share_outputs=False)
        except RuntimeError as error:
            rows, length = given["input_ids"].shape
            raise EngineFailed(f"the model failed on a batch of {rows} rows of {length} tokens") from error
        self._forget_read_weights()
        logits: FloatArray = outputs[0]
        return logits

    def _forget_read_weights(self) -> None:
        """Drops the pages of the weights' file after the first call, the self-test's, which read nearly all of it.

        OpenVINO rearranges a layer's weights when it first runs it. Later only at `rest`, when no call of this engine
        runs: a wrong answer was seen once where pages were dropped beside one, and never explained
        (docs/unverified.md).
        """
        if self._is_fresh:
            self._is_fresh = False
            forget_pages(self._weights)

    def rest(self) -> None:
        """Gives back the buffers of past batches and the weights' pages, unless a call runs; the next makes its own."""
        taken: list[Any] = []
        with suppress(queue.Empty):
            while len(taken) < self.streams:
                taken.append(self._requests.get_nowait())
        try:
            if len(taken) == self.streams and None not in taken:
                self._compiled.release_memory()
                forget_pages(self._weights, waits=False)
        except RuntimeError as error:  # it keeps them; the call of another engine, in which this happens, goes on
            logger.warning("engine_kept_buffers", extra={"reason": _first_line(error)})
        finally:
            for request in reversed(taken):
                self._requests.put(request)

    def close(self) -> None:
        """See `types.Engine`. Waits for calls that run."""
        if self._is_closed:
            return
        self._is_closed = True
        requests = [self._requests.get() for _ in range(self.streams)]
        _idle_engines.forget(self)
        self._requests.put(None)
        with mapping_lock(self._weights):
            requests.clear()
            self._compiled = None
        return_free_memory()


def load_network(
    folder: Path, precision: Precision, plan: StreamPlan, *, blob: Path | None, labels: int | None = None
) -> OpenVinoEngine:
    """The network in `folder`, ready to infer. `blob` is what `compile_blob` made of it for this CPU and plan, or None.

    Raises `InvalidModel` when the folder's files are not a network that this version of OpenVINO reads, or its head
    has not as many outputs as there are `labels`.
    """
    keep_little()
    info = read_info(folder)
    properties = _properties(precision, plan)
    library = openvino()
    core = library.Core()
    try:
        with mapping_lock(folder / WEIGHTS):
            compiled = None if blob is None else _import(core, folder, blob, properties)
            compiled = compiled or core.compile_model(folder / GRAPH, "CPU", properties)
    except RuntimeError as error:
        raise InvalidModel(
            f"{folder.name}/ is no network that OpenVINO {library.__version__} runs ({_first_line(error)}); "
            "pack the artifact again"
        ) from error
    _check_head(compiled, folder, labels)
    forget_pages(folder / WEIGHTS)
    name = f"openvino {precision}"
    engine = OpenVinoEngine(compiled, info, name=name, streams=plan.streams, weights=folder / WEIGHTS)
    told = {"streams": plan.streams, "threads": plan.threads, "padding_free": engine.is_padding_free}
    logger.info("engine_loaded", extra={"folder": folder.name, "engine": name, **told})
    return engine


def _check_head(compiled: Any, folder: Path, labels: int | None) -> None:  # noqa: ANN401
    width = compiled.outputs[0].partial_shape[-1]
    if labels is not None and width.is_static and width.get_length() != labels:
        raise InvalidModel(
            f"{'/'.join(folder.parts[-3:])}/{GRAPH}: the head has {width.get_length()} outputs, config.json names "
            f"{labels} labels in id2label; they must agree"
        )


def _import(core: Any, folder: Path, blob: Path, properties: dict[str, str | int]) -> Any | None:  # noqa: ANN401
    """The network from its blob; None, and a warning, when the blob is damaged: it is no part of the artifact."""
    try:
        return core.import_model(blob.read_bytes(), "CPU", properties | {"WEIGHTS_PATH": str(folder / WEIGHTS)})
    except (RuntimeError, OSError) as error:
        logger.warning("blob_unusable", extra={"folder": folder.name, "reason": _first_line(error)})
        return None


def compile_blob(folder: Path, out: Path, precision: Precision, plan: StreamPlan) -> None:
    """Writes the compiled form of the network in `folder`, without its weights, for this CPU: reload in half the time.

    Raises `InvalidModel`.
    """
    try:
        compiled = openvino().Core().compile_model(folder / GRAPH, "CPU", _properties(precision, plan))
        (out / BLOB).write_bytes(compiled.export_model().getvalue())
    except RuntimeError as error:
        raise InvalidModel(f"{folder.name}/ cannot be compiled by OpenVINO: {_first_line(error)}") from error


def warm_up(plan: StreamPlan) -> None:
    """Brings into memory what the first network would wait for: the libraries, 0.3 s and 50 MB. Raises nothing."""
    started = time.monotonic()
    try:
        library = openvino()
        operators = library.opset13
        given = operators.parameter([-1, 8], np.float32, name="given")
        product = operators.matmul(given, operators.constant(np.eye(8, dtype=np.float32)), False, False)  # noqa: FBT003  its signature
        network = library.Model([product], [given])
        compiled = library.Core().compile_model(network, "CPU", _properties("f32", plan))
        compiled.create_infer_request().infer([np.ones((1, 8), np.float32)])
    except (RuntimeError, ImportError) as error:  # the first load will tell more
        logger.warning("engine_warm_up_failed", extra={"reason": _first_line(error)})
    else:
        logger.info("engine_warm", extra={"seconds": round(time.monotonic() - started, 3)})


def _properties(precision: Precision, plan: StreamPlan) -> dict[str, str | int]:
    return {
        # An int8 network says itself which of its layers are; what it leaves runs in bf16 where the CPU has it.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" or _is_rest_bf16(precision) else "f32",
        "NUM_STREAMS": plan.streams,
        "INFERENCE_NUM_THREADS": plan.streams * plan.threads,
        "ENABLE_CPU_PINNING": False,  # other processes share the cores, the quota is not tied to any
        "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_SHAPES,
        "CACHE_MODE": "OPTIMIZE_SIZE",  # blobs without weights, which are mapped from the network's own file
    }


def _is_rest_bf16(precision: Precision) -> bool:
    return precision == "int8" and has_bf16(cpu_features())


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
