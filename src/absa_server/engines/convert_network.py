"""A transformers model converted to OpenVINO's IR, without padding where it can be. Imports torch and transformers.

A converted network must give torch's answers on shapes it was not traced with before it is written.
"""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from absa_server.engines.forms import Form, PaddedBatch, padded_form, padding_free_form
from absa_server.engines.network import GRAPH, NetworkInfo, write_info
from absa_server.engines.openvino_library import openvino
from absa_server.engines.pretrained import longest_input, open_pretrained
from absa_server.errors import NotConvertible

_TRACED_SHAPE = (2, 8)
# Other batch sizes and lengths than the traced one; a constant that tracing has frozen shows here.
_TRIED_SHAPES = ((1, 5), (3, 19), (6, 40), (2, 150))
_TOLERANCE = 1e-4  # of the logits' scale


def convert_network(folder: Path, out: Path, *, task: str, labels: int) -> None:
    """Writes the network of the model in `folder` to `out`. Raises `InvalidModel` or `NotConvertible`."""
    model: Any = open_pretrained(folder, task=task, labels=labels)
    vocabulary = model.get_input_embeddings().num_embeddings
    info = NetworkInfo("f32", vocabulary, longest_input(model), f"openvino {openvino().__version__}")
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing; what they fear is what `_difference` looks for
        network = _padding_free_network(model, info) or _padded_network(folder, model, info)
    openvino().save_model(network, out / GRAPH, compress_to_fp16=False)
    write_info(out, info)


def _padding_free_network(model: Any, info: NetworkInfo) -> Any | None:  # noqa: ANN401
    """None for a model that is not laid out as BERT is: then padding is what its answers need."""
    try:
        form = padding_free_form(model)
        network = _trace(form, info)
    except Exception:  # what a model of another layout makes of it
        return None
    return None if _difference(network, form, padded_form(model), info) else network


def _padded_network(folder: Path, model: Any, info: NetworkInfo) -> Any:  # noqa: ANN401
    """Raises `NotConvertible`."""
    form = padded_form(model)
    try:
        network = _trace(form, info)
    except Exception as error:  # tracing runs the model's own code, which raises whatever it does
        raise NotConvertible(f"{folder.name}/ cannot be converted for OpenVINO: {error}") from error
    if difference := _difference(network, form, form, info):
        raise NotConvertible(
            f"{folder.name}/ converts to a network whose logits differ from the model's by {difference}"
        )
    return network


def _trace(form: Form, info: NetworkInfo) -> Any:  # noqa: ANN401
    example, _ = form.inputs(_batch(info, _TRACED_SHAPE))
    level = logging.root.level
    try:
        network = openvino().convert_model(form.module, example_input=example)
    finally:
        logging.root.setLevel(level)  # which OpenVINO raises where a conversion fails
    for name in form.shapes:
        network.input(name).get_tensor().set_names({name})  # tracing adds others where an operation folds away
    network.reshape(form.shapes)
    return network


def _difference(network: Any, form: Form, reference: Form, info: NetworkInfo) -> str | None:  # noqa: ANN401
    """By how much the network's answers differ from those of `reference`, in words; None where they are equal."""
    compiled = openvino().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for shape in _TRIED_SHAPES:
        batch = _batch(info, shape)
        expected = reference.infer_here(batch)
        found = form.infer(lambda inputs: compiled(inputs)[0].copy(), batch)
        # Rows of padding are nobody's answer, and may differ.
        kept = batch[1].astype(bool) if expected.ndim == 3 else slice(None)
        difference = np.abs(found - expected)[kept].max()
        if not difference <= _TOLERANCE * max(1.0, np.abs(expected).max()):
            return f"{difference:.2g} on {shape[0]} rows of {shape[1]} tokens"
    return None


def _batch(info: NetworkInfo, shape: tuple[int, int]) -> PaddedBatch:
    """Random ids; the last row is padded, the second half of each row is of the other type.

    The ids are of the vocabulary's upper half, where no padding id stands: it is given no position by some families.
    """
    rows, length = shape[0], min(shape[1], info.max_tokens or shape[1])
    ids = np.random.default_rng(length).integers(info.vocabulary // 2, info.vocabulary, (rows, length))
    mask, types = np.ones_like(ids), np.zeros_like(ids)
    mask[-1, length - length // 3 :] = 0
    types[:, length // 2 :] = 1
    return ids, mask, types
