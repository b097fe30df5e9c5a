"""Random interleavings of the batcher's state machine, without threads: seeded, so that a failure can be run again.

Run in full by `make drill-batching`. Every event that threads could bring about in any order (a request comes or goes,
a stream takes work or ends it, an engine fails) is drawn.
"""

import argparse
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from absa_server.absa.batches import BatchRunner
from absa_server.absa.chains import Rows, Steps
from absa_server.absa.tokenization import ModelInput
from absa_server.errors import EngineFailed
from absa_server.serving.batching.jobs import Job
from absa_server.serving.batching.schedule import Batch, Schedule, Work
from absa_server.types import FloatArray, IntArray

# A row that holds this number spoils its batch.
POISON = 13


class DoublingEngine:
    """For each token its id, doubled, and the number of this engine; fails where it is shown poison."""

    resident_bytes = 0

    def __init__(self, number: int, *, is_padding_free: bool = False) -> None:
        self.number = number
        self.is_padding_free = is_padding_free
        self.rows: list[tuple[int, ...]] = []

    def infer(self, input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray | None) -> FloatArray:
        if (input_ids == POISON).any():
            raise EngineFailed("poison")
        self.rows += [tuple(row[mask == 1].tolist()) for row, mask in zip(input_ids, attention_mask, strict=True)]
        return np.stack([2 * input_ids, np.full_like(input_ids, self.number)], axis=-1).astype(np.float32)

    def close(self) -> None:
        return None


def row(ids: list[int]) -> ModelInput:
    """A row of the model's input, all of one token type."""
    return ModelInput(np.array(ids, np.int64), np.zeros(len(ids), np.int64))


def chain(stages: list[tuple[BatchRunner, list[list[int]]]]) -> Steps[int]:
    """Asks for each stage's rows, checks that the answers are theirs, and returns their sum."""
    total = 0
    for runner, ids in stages:
        logits = yield Rows(runner, [row(one) for one in ids])
        assert [one[:, 0].tolist() for one in logits] == [[2 * number for number in one] for one in ids]
        assert all((one[:, 1] == runner.engine.number).all() for one in logits)  # type: ignore[attr-defined]
        total += int(sum(one[:, 0].sum() for one in logits))
    return total


def right_answer(stages: list[tuple[BatchRunner, list[list[int]]]]) -> int:
    """What `chain` must return."""
    return 2 * sum(sum(one) for _, ids in stages for one in ids)


@dataclass(eq=False)
class Expectation:
    """A request, and what its caller must get: an answer a record, or a failure if any of its rows is poison."""

    stages: list[list[tuple[BatchRunner, list[list[int]]]]]
    wakes: int = 0
    is_abandoned: bool = False
    answers: dict[int, int] = field(default_factory=dict)
    job: Job = field(init=False)

    def __post_init__(self) -> None:
        self.job = Job([chain(one) for one in self.stages], arrived_s=0.0, wake=self._wake, every=len(self.stages) > 2)

    def _wake(self) -> None:
        self.wakes += 1
        for index, answer in self.job.take_finished():
            assert index not in self.answers, "an answer came twice"
            self.answers[index] = answer

    @property
    def is_poisoned(self) -> bool:
        return any(POISON in one for record in self.stages for _, ids in record for one in ids)

    def check(self) -> None:
        """The request got exactly what it must."""
        if self.is_abandoned:
            return
        assert self.job.is_over
        assert self.wakes, "nobody told the caller"
        if self.is_poisoned:
            assert isinstance(self.job.error, EngineFailed)
            return
        assert self.job.error is None
        assert self.answers == {index: right_answer(one) for index, one in enumerate(self.stages)}


class Interleaving:
    """One run: requests, streams and time in an order drawn from `seed`."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.streams = self.random.randint(1, 4)
        self.schedule = Schedule()
        budget = self.random.choice([1, 20, 60, 200])
        engines = [DoublingEngine(number, is_padding_free=self.random.random() < 0.5) for number in range(2)]
        self.runners = [BatchRunner(engine, 0, False, budget) for engine in engines]
        self.busy: list[Work] = []
        self.asked: list[Expectation] = []
        self.clock_s = 0.0

    def run(self, requests: int) -> None:
        """Brings all `requests` to their end and checks every answer."""
        left = requests
        while left or self.busy or self.schedule.has_work:
            self.clock_s += self.random.random()
            options = ["take"] * (len(self.busy) < self.streams) + ["end"] * 2 * bool(self.busy)
            options += ["ask"] * bool(left) + ["leave"] * bool(self.asked) * (self.random.random() < 0.1)
            match self.random.choice(options or ["ask"]):
                case "ask":
                    left -= 1
                    self.ask()
                case "take":
                    work = self.schedule.next(
                        idle_streams=self.streams - len(self.busy), is_step_due=self.random.random() < 0.5
                    )
                    self.busy += [work] if work else []
                case "end":
                    self.end(self.busy.pop(self.random.randrange(len(self.busy))))
                case "leave":
                    leaver = self.random.choice(self.asked)
                    leaver.is_abandoned = not leaver.job.is_over or leaver.is_abandoned
                    self.schedule.abandon(leaver.job)
        for one in self.asked:
            one.check()
        assert not self.schedule.jobs
        assert self.schedule.is_empty, "something was left behind"

    def ask(self) -> None:
        records = [list(self.stages()) for _ in range(self.random.randint(1, 5))]
        self.asked.append(Expectation(records))
        self.schedule.submit(self.asked[-1].job)

    def stages(self) -> Iterator[tuple[BatchRunner, list[list[int]]]]:
        for runner in self.runners[: self.random.randint(1, 2)]:
            yield runner, [self.ids() for _ in range(self.random.randint(1, 3))]

    def ids(self) -> list[int]:
        """Few distinct numbers, so that rows are often identical."""
        length = self.random.choice([1, 2, 2, 3, 8])
        numbers = [self.random.randint(1, 3) for _ in range(length)]
        return [POISON, *numbers[1:]] if self.random.random() < 0.01 else numbers

    def end(self, work: Work) -> None:
        work.run()
        if isinstance(work, Batch):
            assert work.entries, "an empty batch"
            assert len(work.entries) == 1 or work.padded_tokens <= work.runner.budget_tokens
        self.schedule.settle(work, self.clock_s)
        for job in self.schedule.take_to_wake():
            job.wake()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interleavings", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=8, help="of each interleaving")
    arguments = parser.parse_args()
    for seed in range(arguments.interleavings):
        try:
            Interleaving(seed).run(arguments.requests)
        except AssertionError as error:
            error.add_note(f"in the interleaving of seed {seed}")
            raise
    sys.stdout.write(
        f"{arguments.interleavings} interleavings of {arguments.requests} requests: every answer its own\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
