"""The torch engine: a transformers model, eager, in float32.

The serving process imports torch here alone, and only for models that really run on it.
"""

import logging
from pathlib import Path

import torch
from transformers import PreTrainedModel

from absa_server.engines.pretrained import open_pretrained
from absa_server.errors import EngineFailed
from absa_server.types import FloatArray, IntArray

logger = logging.getLogger(__name__)


class TorchEngine:
    """A model on the CPU. Forward passes of several threads run side by side; each uses torch's own threads."""

    name = "torch"

    def __init__(self, model: PreTrainedModel, *, streams: int = 1) -> None:
        self._model: PreTrainedModel | None = model
        self.streams = streams
        self.resident_bytes = sum(tensor.nbytes for tensor in model.state_dict().values())

    @torch.inference_mode()
    def infer(self, input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray | None) -> FloatArray:
        """See `types.Engine`."""
        if self._model is None:
            raise EngineFailed("the model has been unloaded")
        inputs = {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(attention_mask)}
        if token_type_ids is not None:
            inputs["token_type_ids"] = torch.from_numpy(token_type_ids)
        try:
            logits: FloatArray = self._model(**inputs).logits.float().numpy()
        except (RuntimeError, ValueError, IndexError) as error:
            raise EngineFailed(
                f"the model failed on a batch of {input_ids.shape[0]} rows of {input_ids.shape[1]} tokens"
            ) from error
        return logits

    def close(self) -> None:
        """See `types.Engine`."""
        self._model = None


def load_torch_engine(folder: Path, *, task: str, labels: int, threads: int, streams: int = 1) -> TorchEngine:
    """The model in `folder`, in float32. `threads` are those of one forward pass, for the whole process.

    Raises `InvalidModel`; see `open_pretrained`.
    """
    torch.set_num_threads(threads)
    model = open_pretrained(folder, task=task, labels=labels)
    logger.info("engine_loaded", extra={"folder": folder.name, "engine": "torch", "threads": threads})
    return TorchEngine(model, streams=streams)
