"""The words the layers share: records in, analyses out. Knows no HTTP, no model and no configuration.

Offsets in here are always half-open and in code points of the request's own string; the other unit a caller
may choose (UTF-16) exists only at the HTTP edge.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Mode = Literal["chain", "aspects", "sentiment"]
OffsetUnit = Literal["codepoint", "utf16"]
RecordId = str | int | float | bool | None

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a caller may ask for, next to the texts.

    `return_text` is None where the caller did not say: then the kind of artifact decides. `stream`, of any record, is
    for the whole answer. `model` names a whole pipeline, `aspect_model` and `sentiment_model` one stage of it; they are
    those of the request, never of one record.
    """

    mode: Mode = "chain"
    min_score: float = 0.0
    offsets: OffsetUnit = "codepoint"
    return_text: bool | None = None
    stream: bool = False
    model: str | None = None
    aspect_model: str | None = None
    sentiment_model: str | None = None

    @property
    def model_names(self) -> tuple[str | None, str | None, str | None]:
        """What was said of models: whole, aspect stage, sentiment stage."""
        return self.model, self.aspect_model, self.sentiment_model


@dataclass(frozen=True, slots=True)
class GivenAspect:
    """An aspect that came with the request: an exact span, or a term to look for (then start and end are None)."""

    term: str | None
    start: int | None = None
    end: int | None = None
    score: float | None = None
    category: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One text to analyse. `aspects` None: find them; a tuple, even an empty one: exactly these.

    `truncated` is what an earlier container said of its own work on this text, and stays true from then on.
    """

    text: str
    id: RecordId = None
    aspects: tuple[GivenAspect, ...] | None = None
    truncated: bool = False
    parameters: Parameters = field(default_factory=Parameters)


@dataclass(frozen=True, slots=True)
class Aspect:
    """One aspect of a text: where it stands, and, once rated, its polarity.

    `score`: mean probability of the chosen tags over the span's words; None where nobody measured it.
    `label` is the model's own name of the class, `polarity` the canonical one; `scores` maps each polarity
    to its probability. start and end are None together: the term does not occur in the text.
    """

    term: str
    start: int | None
    end: int | None
    score: float | None = None
    category: str | None = None
    label: str | None = None
    polarity: str | None = None
    polarity_score: float | None = None
    scores: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """The aspects of one text, in text order, or in the order they were given.

    `truncated`: some model could not be shown all of the text that its policy wanted to show it.
    """

    aspects: tuple[Aspect, ...]
    truncated: bool = False


class Engine(Protocol):
    """Token ids in, logits out: all that the domain knows of a neural network. Callable from several threads."""

    @property
    def name(self) -> str:
        """What runs the network, and in which precision where it is not float32, for logs and metrics."""

    @property
    def streams(self) -> int:
        """How many calls of `infer` run side by side; more wait, or share the same threads."""

    @property
    def batch_tokens(self) -> int:
        """Padded tokens of one pass that suit the engine, where nobody asks for another number."""

    @property
    def is_padding_free(self) -> bool:
        """Whether a batch costs its rows' own tokens, whatever their lengths; else rows of one length suit it."""

    @property
    def resident_bytes(self) -> int:
        """Bytes of memory the loaded weights take; of the device's memory, where they lie there."""

    def infer(self, input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray | None) -> FloatArray:
        """Logits of a padded batch: `(batch, seq)` in; `(batch, seq, labels)` or `(batch, labels)` out, float32.

        Raises `errors.EngineFailed`.
        """

    def close(self) -> None:
        """Give the memory back. Calling `infer` afterwards is an error of the caller."""
