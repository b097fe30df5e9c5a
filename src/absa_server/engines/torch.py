"""The torch engine: a transformers model, eager, on a GPU where torch finds one, else on the CPU.

The serving process imports torch here and in `torch_devices` alone, and only for models that really run on it.
"""

import logging
from pathlib import Path

import torch
from transformers import PreTrainedModel

from absa_server.engines.buckets import pad_columns
from absa_server.engines.precision import WantedPrecision, choose_torch_precision
from absa_server.engines.pretrained import longest_input, open_pretrained
from absa_server.engines.torch_devices import TorchDevice, choose_device
from absa_server.errors import EngineFailed
from absa_server.types import FloatArray, IntArray

logger = logging.getLogger(__name__)

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class TorchEngine:
    """A model on a device. Forward passes of several threads run side by side; on the CPU each has torch's own threads.

    `model` has its weights on the device already.
    """

    is_padding_free = False

    def __init__(self, model: PreTrainedModel, device: TorchDevice, *, streams: int = 1) -> None:
        self._model: PreTrainedModel | None = model
        self._device = device
        self._longest = longest_input(model)
        self._vocabulary = model.get_input_embeddings().num_embeddings
        self._types = getattr(model.config, "type_vocab_size", 0)
        self._fills = (getattr(model.config, "pad_token_id", None) or 0, 0, 0)
        self.name = _name(device, model.dtype)
        self.streams = streams
        self.batch_tokens = device.batch_tokens
        self.resident_bytes = sum(tensor.nbytes for tensor in model.state_dict().values())

    @torch.inference_mode()
    def infer(self, input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray | None) -> FloatArray:
        """See `types.Engine`."""
        model = self._model
        if model is None:
            raise EngineFailed("the model has been unloaded")
        arrays = [input_ids, attention_mask] + ([] if token_type_ids is None else [token_type_ids])
        self._check(arrays)
        rows, length = input_ids.shape

        def forward(inputs: torch.Tensor) -> torch.Tensor:
            # Without token types there are two of them, and the names end there as well.
            logits: torch.Tensor = model(**dict(zip(_INPUTS, inputs, strict=False))).logits.float()
            return logits[:, :length] if logits.ndim == 3 else logits

        padded = pad_columns(arrays, self._device.padded_length(length, self._longest), self._fills[: len(arrays)])
        try:
            return self._device.run(forward, padded)
        except (RuntimeError, ValueError, IndexError) as error:
            raise EngineFailed(f"the model failed on a batch of {rows} rows of {length} tokens") from error

    def _check(self, arrays: list[IntArray]) -> None:
        """An id without a weight is an error here; on a GPU it would end CUDA for the whole process."""
        ids, length = arrays[0], arrays[0].shape[1]
        limits = [self._vocabulary] + ([self._types] if len(arrays) == 3 and self._types else [])
        checked = zip([ids, *arrays[2:]], limits, strict=False)
        fits = all(0 <= array.min() <= array.max() < limit for array, limit in checked)
        if not fits or (self._longest is not None and length > self._longest):
            raise EngineFailed(
                f"the model failed on a batch of {ids.shape[0]} rows of {length} tokens: it has {self._longest} "
                f"positions, ids below {self._vocabulary} and {self._types} token types"
            )

    def close(self) -> None:
        """See `types.Engine`."""
        self._model = None
        self._device.free()


def load_torch_engine(
    folder: Path,
    *,
    task: str,
    labels: int,
    threads: int,
    streams: int = 1,
    precision: WantedPrecision = "auto",
    device: TorchDevice | None = None,
) -> TorchEngine:
    """The model in `folder`. `threads` are those of one forward pass on the CPU, for the whole process.

    It runs on `device`; None: on a GPU if there is one. Raises `InvalidModel`; see `open_pretrained` and
    `choose_torch_precision`.
    """
    torch.set_num_threads(threads)
    device = device or choose_device(streams)
    chosen = choose_torch_precision(precision, has_bf16=device.has_bf16, is_gpu=device.name == "cuda")
    model = open_pretrained(folder, task=task, labels=labels)
    model.to(device=device.name, dtype=_DTYPES[chosen])  # type: ignore[call-arg]  # transformers wraps torch's own `to`
    engine = TorchEngine(model, device, streams=streams)
    logger.info(
        "engine_loaded",
        extra={
            "folder": folder.name,
            "engine": engine.name,
            "attention": model.config._attn_implementation,  # noqa: SLF001  the only place that tells
            "streams": streams,
            "threads": threads,
            "resident_bytes": engine.resident_bytes,
        },
    )
    return engine


def _name(device: TorchDevice, dtype: torch.dtype) -> str:
    on = "" if device.name == "cpu" else f" {device.name}"
    return f"torch{on}{' bf16' if dtype is torch.bfloat16 else ''}"
