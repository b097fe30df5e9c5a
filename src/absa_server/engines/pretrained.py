"""A transformers model from its folder, whole or not at all. Imports torch and transformers."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from absa_server.errors import InvalidModel

_CLASSES = {
    "token-classification": AutoModelForTokenClassification,
    "sequence-classification": AutoModelForSequenceClassification,
}


def open_pretrained(folder: Path, *, task: str, labels: int) -> PreTrainedModel:
    """The model in `folder`, ready to infer, in float32 whatever its file's precision.

    Raises `InvalidModel` when any weight is missing or of another shape: transformers would fill it with random
    numbers and only warn.
    """
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
    whole: PreTrainedModel = model.eval()
    return whole


def longest_input(model: Any) -> int | None:  # noqa: ANN401  transformers' models have attributes of any kind
    """The most tokens of a row that the model has positions for; None: any length."""
    positions = [module.num_embeddings - _reserved(module) for module in _position_embeddings(model)]
    return min(positions, default=None)


def first_position(model: Any) -> int:  # noqa: ANN401
    """The position of a row's first token: 0, but in families whose positions begin after the padding id."""
    return max((_reserved(module) for module in _position_embeddings(model)), default=0)


def _position_embeddings(model: Any) -> list[Any]:  # noqa: ANN401
    return [
        module
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and hasattr(module, "num_embeddings")
    ]


def _reserved(module: Any) -> int:  # noqa: ANN401
    return 0 if module.padding_idx is None else int(module.padding_idx) + 1
