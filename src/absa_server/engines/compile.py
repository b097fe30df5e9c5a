"""The child process that converts: a transformers model to OpenVINO's IR, or a slow tokenizer to tokenizer.json.

    python -m absa_server.engines.compile network <model folder> <out folder> <task> <labels>
    python -m absa_server.engines.compile tokenizer <model folder> <out folder>

torch and transformers live and die here. One JSON line on stdout tells the outcome: `{}`, or the error's class and
message.
A converted network must give torch's answers on shapes it was not traced with before it is told as done.
"""

import ctypes
import json
import os
import signal
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from absa_server.engines.network import GRAPH, NetworkInfo, write_info
from absa_server.errors import InvalidModel, NotConvertible

TOKENIZER = "tokenizer.json"
_PR_SET_PDEATHSIG = 1
_TRACED_SHAPE = (2, 8)
# Other batch sizes and lengths than the traced one; a constant that tracing has frozen shows here.
_TRIED_SHAPES = ((1, 5), (3, 19), (2, 150))
_TOLERANCE = 1e-4  # of the logits' scale


def convert_network(folder: Path, out: Path, *, task: str, labels: int) -> None:
    """Writes the network of the model in `folder` to `out`. Raises `InvalidModel` or `NotConvertible`."""
    try:
        import torch  # noqa: PLC0415  seconds that a tokenizer does not need to wait

        from absa_server.engines.pretrained import open_pretrained  # noqa: PLC0415
    except ImportError as error:
        raise InvalidModel(
            f"{folder.name}/ brings no compiled network, and nothing here can make one ({error}); pack it into the "
            "artifact, or use an image built with TORCH=cpu"
        ) from error
    from absa_server.engines.openvino_library import openvino  # noqa: PLC0415

    model = open_pretrained(folder, task=task, labels=labels)
    info = _info(model, engine=f"openvino {openvino().__version__}")
    wrapped = _logits_only(model, uses_types=getattr(model.config, "type_vocab_size", 0) > 1)
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing; what they fear is what `_compare` looks for
            network = openvino().convert_model(wrapped, example_input=_example(wrapped, info, _TRACED_SHAPE))
    except Exception as error:  # tracing runs the model's own code, which raises whatever it does
        raise NotConvertible(f"{folder.name}/ cannot be converted for OpenVINO: {error}") from error
    openvino().save_model(network, out / GRAPH, compress_to_fp16=False)
    write_info(out, info)
    _compare(folder, wrapped, openvino().compile_model(out / GRAPH, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}), info)


def _logits_only(model: Any, *, uses_types: bool) -> Any:  # noqa: ANN401  torch modules: torch is not imported above
    """The model as a module of two or three inputs, as the engine gives them, and one output."""
    from torch import nn  # noqa: PLC0415

    class Typed(nn.Module):
        """Networks that tell the segments of a pair apart."""

        names = ("input_ids", "attention_mask", "token_type_ids")

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:  # noqa: ANN401
            return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).logits

    class Untyped(nn.Module):
        """Networks without token types."""

        names = ("input_ids", "attention_mask")

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:  # noqa: ANN401
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    return (Typed() if uses_types else Untyped()).eval()


def _info(model: Any, *, engine: str) -> NetworkInfo:  # noqa: ANN401
    from absa_server.engines.pretrained import longest_input  # noqa: PLC0415

    vocabulary = model.get_input_embeddings().num_embeddings
    return NetworkInfo("f32", vocabulary, longest_input(model), engine)


def _example(wrapped: Any, info: NetworkInfo, shape: tuple[int, int]) -> dict[str, Any]:  # noqa: ANN401
    """Random ids; the last row is padded, the second half of each row is of the other type."""
    import torch  # noqa: PLC0415

    rows, length = shape[0], min(shape[1], info.max_tokens or shape[1])
    generator = torch.Generator().manual_seed(length)
    ids = torch.randint(0, info.vocabulary, (rows, length), generator=generator)
    mask, types = torch.ones_like(ids), torch.zeros_like(ids)
    mask[-1, length - length // 3 :] = 0
    types[:, length // 2 :] = 1
    return {name: {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}[name] for name in wrapped.names}


def _compare(folder: Path, wrapped: Any, network: Any, info: NetworkInfo) -> None:  # noqa: ANN401
    """Raises `NotConvertible` when the network's answers are not torch's."""
    import torch  # noqa: PLC0415

    for shape in _TRIED_SHAPES:
        inputs = _example(wrapped, info, shape)
        with torch.inference_mode():
            expected = wrapped(**inputs).float()
        found = torch.from_numpy(network({name: tensor.numpy() for name, tensor in inputs.items()})[0].copy())
        # Rows of padding are nobody's answer, and may differ.
        kept = inputs["attention_mask"].bool() if expected.ndim == 3 else slice(None)
        difference = (found - expected)[kept].abs().max().item()
        if not difference <= _TOLERANCE * max(1.0, expected.abs().max().item()):
            raise NotConvertible(
                f"{folder.name}/ converts to a network whose logits differ from the model's by {difference:.2g} "
                f"on {shape[0]} rows of {shape[1]} tokens"
            )


def main(arguments: list[str]) -> int:
    """One conversion. The exit code is 0 when the outcome was told, whatever it is."""
    _depend_on_parent()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries may print; only the outcome goes to stdout
    outcome: dict[str, str] = {}
    try:
        _convert(*arguments)
    except InvalidModel as error:
        outcome = {"error": type(error).__name__, "message": error.message}
    json.dump(outcome, answers)
    answers.close()
    return 0


def _convert(kind: str, folder: str, out: str, *rest: str) -> None:
    if kind == "network":
        task, labels = rest
        convert_network(Path(folder), Path(out), task=task, labels=int(labels))
    else:
        from absa_server.engines.convert_tokenizer import convert_slow_tokenizer  # noqa: PLC0415

        (Path(out) / TOKENIZER).write_text(convert_slow_tokenizer(Path(folder)), encoding="utf-8")


def _depend_on_parent() -> None:
    """Ends with the parent, whatever ends that; and is the first that a kernel short of memory takes."""
    parent = os.getppid()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(1)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
