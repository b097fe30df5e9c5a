"""The torch engine: a transformers model, eager, in float32.

With convert_tokenizer, the only module of the server that imports torch and transformers.
"""

import logging
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from absa_server.errors import EngineFailed, InvalidModel
from absa_server.types import FloatArray, IntArray

logger = logging.getLogger(__name__)

_CLASSES = {
    "token-classification": AutoModelForTokenClassification,
    "sequence-classification": AutoModelForSequenceClassification,
}


class TorchEngine:
    """A model on the CPU. Forward passes of several threads run side by side; each uses torch's own threads."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model: PreTrainedModel | None = model
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


def load_torch_engine(folder: Path, *, task: str, labels: int, threads: int) -> TorchEngine:
    """The model in `folder`, in float32 whatever its file's precision.

    `threads` are the threads of one forward pass, for the whole process. Raises `InvalidModel` when any weight is
    missing or of another shape: transformers would fill it with random numbers and only warn.
    """
    torch.set_num_threads(threads)
    disable_progress_bar()  # type: ignore[no-untyped-call]  # stdout and stderr are for JSON lines
    try:
        model, report = _CLASSES[task].from_pretrained(
            folder,
            num_labels=labels,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise InvalidModel(f"{folder.name}/ cannot be loaded by transformers: {error}") from error
    absent = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if absent:
        raise InvalidModel(
            f"{folder.name}/ lacks weights of its architecture {type(model).__name__} ({', '.join(absent[:5])}); "
            "they would be random numbers; save the fine-tuned model with `save_pretrained`"
        )
    logger.info("engine_loaded", extra={"folder": folder.name, "engine": "torch", "threads": threads})
    return TorchEngine(model.eval())
