"""Rows of one model, run in batches: similar lengths together, under a budget of padded tokens, identical rows once.

The order of the answers is the order of the rows. Batching never changes an answer: padding is masked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from absa_server.absa.tokenization import ModelInput
from absa_server.errors import EngineFailed
from absa_server.types import Engine, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class BatchRunner:
    """Runs rows of any number and length through an engine. As safe to call from several threads as the engine is.

    `budget_tokens` bounds the padded size of a batch of several rows. Runners are equal only to themselves.
    """

    engine: Engine
    pad_token_id: int
    uses_token_types: bool
    budget_tokens: int

    def run(self, rows: Sequence[ModelInput], check: Callable[[], None]) -> list[FloatArray]:
        """Logits of each row, without its padding: `(seq, labels)` or `(labels,)`.

        `check` is called before each batch, and stops the work by raising. Raises `EngineFailed`.
        """
        places: dict[bytes, list[int]] = {}
        for index, row in enumerate(rows):
            places.setdefault(row.identity, []).append(index)
        distinct = sorted((indexes[0] for indexes in places.values()), key=lambda index: len(rows[index]))
        logits: dict[int, FloatArray] = {}
        for batch in self.groups([len(rows[index]) for index in distinct]):
            check()
            members = [distinct[position] for position in batch]
            logits.update(zip(members, self.infer([rows[index] for index in members]), strict=True))
        answers = {index: logits[indexes[0]] for indexes in places.values() for index in indexes}
        return [answers[index] for index in range(len(rows))]

    @property
    def is_padding_free(self) -> bool:
        """Whether a batch costs its rows' own tokens; else rows of one length suit it."""
        return self.engine.is_padding_free

    def cost_tokens(self, lengths: Sequence[int]) -> int:
        """Tokens that a batch of rows of these lengths is run with, padding included."""
        return sum(lengths) if self.is_padding_free else max(lengths) * len(lengths)

    def infer(self, rows: Sequence[ModelInput]) -> list[FloatArray]:
        """Logits of each row of one batch, as `run` gives them. Raises `EngineFailed`."""
        longest = max(len(row) for row in rows)
        ids = np.full((len(rows), longest), self.pad_token_id, np.int64)
        mask = np.zeros((len(rows), longest), np.int64)
        types = np.zeros((len(rows), longest), np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row.ids
            mask[index, : len(row)] = 1
            types[index, : len(row)] = row.types
        logits = self.engine.infer(ids, mask, types if self.uses_token_types else None)
        if not np.isfinite(logits).all():
            raise EngineFailed(
                "the model's logits are not finite: its weights are damaged, or overflow their precision"
            )
        if logits.ndim == 2:
            return list(logits)
        return [logits[index, : len(row)] for index, row in enumerate(rows)]

    def groups(self, lengths: Sequence[int]) -> list[range]:
        """Ranges of ascending `lengths` whose cost stays within the budget; a row above the budget goes alone."""
        groups: list[range] = []
        start = 0
        for index in range(1, len(lengths)):
            if self.cost_tokens(lengths[start : index + 1]) > self.budget_tokens:
                groups.append(range(start, index))
                start = index
        return [*groups, range(start, len(lengths))] if lengths else []
