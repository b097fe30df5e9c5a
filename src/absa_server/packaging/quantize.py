"""The process that quantizes: NNCF lives and dies here.

    python -m absa_server.packaging.quantize <float32 network's folder> <rows.npz> <out folder> <recipe>

Writes graph and weights to the existing folder; what the engine must know of them is the parent's to write.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from absa_server.engines.network import GRAPH
from absa_server.engines.openvino_library import openvino
from absa_server.engines.padding_free import MARK, pack
from absa_server.packaging.child import answer
from absa_server.packaging.recipes import BY_NAME, Recipe

_ATTENTION = {"ScaledDotProductAttention"}
_CONSTANTS = {"Constant", "Convert"}
_FEWEST_OUTPUTS = 16  # fewer are a classifier's labels


def quantize(network: Path, rows: Path, out: Path, recipe: Recipe) -> str:
    """The version of NNCF that made the network in `out`. `rows` are calibrated on, each a batch of its own."""
    openvino()  # first, so that telemetry stays away
    import nncf  # noqa: PLC0415

    model = openvino().Core().read_model(network / GRAPH)
    names = [port.any_name for port in model.inputs]
    calibration = list(_batches(rows, names))
    quantized = nncf.quantize(
        model,
        nncf.Dataset(calibration),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(calibration),
        ignored_scope=nncf.IgnoredScope(names=_kept(model, recipe), validate=False),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            # A negative alpha leaves SmoothQuant out.
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1 if recipe.alpha is None else recipe.alpha)
        ),
    )
    _halve_tables(quantized)
    openvino().save_model(quantized, out / GRAPH, compress_to_fp16=False)
    return str(nncf.__version__)


def _batches(rows: Path, names: list[str]) -> Iterator[dict[str, Any]]:
    with np.load(rows) as file:
        ids, types, lengths = file["ids"], file["types"], file["lengths"]
    ends = np.cumsum(lengths)
    for begin, end in zip(ends - lengths, ends, strict=True):
        row_ids, row_types = ids[None, begin:end], types[None, begin:end]
        mask = np.ones_like(row_ids)
        padded = {"input_ids": row_ids, "attention_mask": mask, "token_type_ids": row_types}
        inputs = pack(row_ids, mask, row_types).inputs if MARK in names else padded
        yield {name: inputs[name] for name in names}


def _kept(model: Any, recipe: Recipe) -> list[str]:  # noqa: ANN401  openvino has no types
    """Names of the operations that stay in float32."""
    operations = model.get_ordered_ops()
    # Tables of embeddings, which cost no time: int8 ones are unpacked into memory when the network is loaded, while
    # floating-point ones stay in the mapped file.
    kept = [one for one in operations if _reads_table(one)]
    if "attention" in recipe.kept:
        kept += [one for one in operations if one.get_type_name() in _ATTENTION or _is_product_of_two(one)]
    down = [one for one in operations if _is_narrowing(one)]
    if "down" in recipe.kept:
        kept += down
    if "early-down" in recipe.kept:
        kept += down[: -(-len(down) // 2)]
    return sorted({one.get_friendly_name() for one in kept})


def _halve_tables(model: Any) -> None:  # noqa: ANN401
    """Tables of embeddings become float16, which the network widens row by row as it reads them.

    They are most of a small network's bytes, and their last bits are far below what int8 layers tell apart.
    """
    operators = openvino().opset13
    for table in [one.input_value(0).get_node() for one in model.get_ordered_ops() if _reads_table(one)]:
        if table.get_type_name() != "Constant" or not np.abs(table.data).max() <= np.finfo(np.float16).max:
            continue
        widened = operators.convert(operators.constant(table.data.astype(np.float16)), "f32")
        for target in list(table.output(0).get_target_inputs()):
            target.replace_source_output(widened.output(0))


def _reads_table(operation: Any) -> bool:  # noqa: ANN401
    return operation.get_type_name() == "Gather" and _has_table(operation)


def _has_table(operation: Any) -> bool:  # noqa: ANN401
    source = operation.input_value(0)
    return source.get_node().get_type_name() in _CONSTANTS and len(source.get_partial_shape()) == 2


def _is_product_of_two(operation: Any) -> bool:  # noqa: ANN401
    """A product of two activations, as attention has them where it is not one operation."""
    inputs = [source.get_node().get_type_name() for source in operation.input_values()]
    return operation.get_type_name() == "MatMul" and not _CONSTANTS.intersection(inputs)


def _is_narrowing(operation: Any) -> bool:  # noqa: ANN401
    """A product with weights that gives fewer values than it takes: the way back from a feed-forward layer's width."""
    if operation.get_type_name() != "MatMul" or operation.input_value(1).get_node().get_type_name() not in _CONSTANTS:
        return False
    taken, given = operation.input_value(0).get_partial_shape()[-1], operation.output(0).get_partial_shape()[-1]
    return bool(
        taken.is_static
        and given.is_static
        and given.get_length() >= _FEWEST_OUTPUTS
        and 2 * given.get_length() <= taken.get_length()
    )


def main(arguments: list[str]) -> None:
    """One network."""
    network, rows, out, recipe = arguments
    answer(quantize(Path(network), Path(rows), Path(out), BY_NAME[recipe]))


if __name__ == "__main__":
    main(sys.argv[1:])
