"""The two forms that a transformers model is traced in: a torch module of arrays in, logits out. Imports torch.

Padded, as transformers itself runs a model: every model has this form. Padding-free, for models laid out as BERT is:
rows end to end (see padding_free.py), and a classifier's last layer runs for each row's first token alone, all that its
head looks at. Whether a model is what the second form takes it for is found by comparing answers: convert_network.py.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from absa_server.engines.padding_free import INPUTS, pack
from absa_server.engines.pretrained import first_position
from absa_server.types import FloatArray, IntArray

# Ids, mask and types of a batch, `(batch, seq)` each.
PaddedBatch = tuple[IntArray, IntArray, IntArray]
Tensors = dict[str, torch.Tensor]
# A form's logits as padded ones: `(batch, seq, labels)` or `(batch, labels)`.
Restore = Callable[[FloatArray], FloatArray]

_ANY = -1


@dataclass(frozen=True, slots=True)
class Form:
    """`module` takes what `inputs` makes of a padded batch, by name; `shapes` are those of its inputs."""

    module: nn.Module
    shapes: dict[str, list[int]]
    inputs: Callable[[PaddedBatch], tuple[Tensors, Restore]]

    def infer(self, run: Callable[[Tensors], FloatArray], batch: PaddedBatch) -> FloatArray:
        """Padded logits of a padded batch, by `run`: the module, or what was made of it."""
        inputs, restore = self.inputs(batch)
        return restore(run(inputs))

    @torch.inference_mode()
    def infer_here(self, batch: PaddedBatch) -> FloatArray:
        """The same by the module itself."""
        return self.infer(lambda inputs: self.module(**inputs).float().numpy(), batch)


def padded_form(model: Any) -> Form:  # noqa: ANN401  transformers' models have attributes of any kind
    """Two inputs, or three where the model tells the segments of a pair apart."""
    names = ["input_ids", "attention_mask", "token_type_ids"][: 3 if _is_typed(model) else 2]

    def inputs(batch: PaddedBatch) -> tuple[Tensors, Restore]:
        return dict(zip(names, map(torch.from_numpy, batch), strict=False)), lambda logits: logits

    return Form(_Padded(model).eval(), {name: [_ANY, _ANY] for name in names}, inputs)


def padding_free_form(model: Any) -> Form:  # noqa: ANN401
    """Lines of rows end to end. Raises AttributeError for a model without the modules that are looked for."""
    is_tagger = "ForTokenClassification" in type(model).__name__
    line = [_ANY, _ANY]
    shapes = dict(zip(INPUTS, (line, line, line, [_ANY, 1, _ANY, _ANY], [_ANY]), strict=True))
    if not _is_typed(model):
        del shapes["token_type_ids"]
    if is_tagger:
        del shapes["first_tokens"]

    def inputs(batch: PaddedBatch) -> tuple[Tensors, Restore]:
        lines = pack(*batch)
        return {name: torch.from_numpy(lines.inputs[name]) for name in shapes}, lines.unpack

    module = _LinesTagger(model) if is_tagger else _LinesClassifier(model)
    return Form(module.eval(), shapes, inputs)


def _is_typed(model: Any) -> bool:  # noqa: ANN401
    return getattr(model.config, "type_vocab_size", 0) > 1


class _Padded(nn.Module):
    def __init__(self, model: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:  # noqa: ANN401
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        return self.model(input_ids=input_ids, attention_mask=attention_mask, **types).logits


class _LinesTagger(nn.Module):
    def __init__(self, model: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.model = model
        self.first_position = first_position(model)

    def forward(self, input_ids: Any, position_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:  # noqa: ANN401
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        positions = position_ids + self.first_position
        return self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=positions, **types).logits


class _LinesClassifier(_LinesTagger):
    """Each row's first token leaves the encoder as a row of its own, where the head looks for it.

    In layers like BERT's the others are left behind once the last attention has seen them.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        super().__init__(model)
        base = model.base_model
        self.encoder = base.encoder if hasattr(base, "encoder") else base.transformer
        attention = getattr(self.encoder.layer[-1], "attention", None) if hasattr(self.encoder, "layer") else None
        self.last_attention = getattr(attention, "output", None)

    def forward(
        self,
        input_ids: Any,  # noqa: ANN401
        position_ids: Any,  # noqa: ANN401
        attention_mask: Any,  # noqa: ANN401
        token_type_ids: Any = None,  # noqa: ANN401
        first_tokens: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        with self._only(first_tokens):
            return super().forward(input_ids, position_ids, attention_mask, token_type_ids)

    @contextmanager
    def _only(self, tokens: Any) -> Iterator[None]:  # noqa: ANN401
        def pick(hidden: Any) -> Any:  # noqa: ANN401
            return hidden.flatten(0, 1).index_select(0, tokens).unsqueeze(0)

        def before(_module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(map(pick, given))

        def after(_module: nn.Module, _given: object, output: Any) -> Any:  # noqa: ANN401
            hidden = output.last_hidden_state
            output.last_hidden_state = (pick(hidden) if self.last_attention is None else hidden).transpose(0, 1)
            return output

        with ExitStack() as hooks:
            if self.last_attention is not None:
                hooks.callback(self.last_attention.register_forward_pre_hook(before).remove)
            hooks.callback(self.encoder.register_forward_hook(after).remove)
            yield
