"""Work in steps: a chain asks for rows of a model to be run, is sent their logits, and goes on. Knows no stage.

A chain is a generator and does no inference itself, so the same chain is driven by a loop (`run_chains`) or, between
those of other requests, by a scheduler.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from absa_server.absa.batches import BatchRunner
from absa_server.absa.tokenization import ModelInput
from absa_server.types import FloatArray

T = TypeVar("T")
Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Rows:
    """What a chain waits for: the logits of `inputs`, at least one, as `BatchRunner.infer` gives them."""

    runner: BatchRunner
    inputs: Sequence[ModelInput]


Steps = Generator[Rows, list[FloatArray], T]


def run_chains(chains: Sequence[Steps[T]], check: Check) -> list[T]:
    """What each chain returns, in order. Rows for which several chains wait at once run together.

    `check` is called before each chain's step and before each batch, and stops the work by raising. Raises
    `EngineFailed`.
    """
    returned: dict[int, T] = {}
    asked: dict[int, Rows] = {}

    def step(index: int, logits: list[FloatArray] | None) -> None:
        check()
        try:
            asked[index] = next(chains[index]) if logits is None else chains[index].send(logits)
        except StopIteration as end:
            returned[index] = end.value

    for index in range(len(chains)):
        step(index, None)
    while asked:
        runner = next(iter(asked.values())).runner
        together = {index: asked.pop(index) for index, rows in list(asked.items()) if rows.runner is runner}
        logits = iter(runner.run([row for rows in together.values() for row in rows.inputs], check))
        for index, rows in together.items():
            step(index, [next(logits) for _ in rows.inputs])
    return [returned[index] for index in range(len(chains))]
