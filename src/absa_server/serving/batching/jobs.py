"""One request's work: a chain for each of its records, and what has become of them."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from absa_server.absa.chains import Rows, Steps
from absa_server.serving.batching.row_queue import Entry
from absa_server.telemetry.model_labels import ONE_MODEL
from absa_server.types import FloatArray

# Rows of one request that wait at a time; the rest of its records are not begun. Higher: rows of likelier length in a
# batch; more memory a request.
WINDOW_ROWS = 256
# How far each token that a request has already asked for moves its further rows back, and how far at most. Higher: a
# large request gives way to smaller ones that arrive later; lower: first come, first served. At 8 clients of one
# sentence each a p99 of 170 to 205 ms with 0.001, 86 ms with 0.0001 and 79 to 83 ms with 0; beside reviews of 30
# aspects short texts have no longer p99 than alone with 0.0001 (`make drill-fairness`).
GRACE_S_PER_TOKEN = 0.0001
MOST_GRACE_S = 10.0


class Job:
    """Changed only under the scheduler's lock, but for `take_finished`, which may be called from any thread."""

    def __init__(
        self,
        chains: Sequence[Steps[Any]],
        *,
        arrived_s: float,
        wake: Callable[[], None],
        every: bool = False,
        model: str = ONE_MODEL,
    ) -> None:
        """`wake` is called, in some thread, when the job is over; with `every`, also when results have come.

        `model` is the name that its rows are counted under.
        """
        self.unbegun = deque(Chain(self, index, steps) for index, steps in enumerate(chains))
        self.unfinished = len(chains)
        self.error: BaseException | None = None
        self.is_over = not chains
        self.is_offered = False
        self.entries: set[Entry] = set()
        self.wake = wake
        self.every = every
        self.model = model
        self._arrived_s = arrived_s
        self._asked_tokens = 0
        self._finished: deque[tuple[int, Any]] = deque()

    @property
    def may_begin(self) -> bool:
        """Whether another of its records may be begun."""
        return bool(self.unbegun) and not self.is_over and len(self.entries) < WINDOW_ROWS

    def due_s(self, tokens: int) -> float:
        """When a row of `tokens` that it asks for now is due: later, the more it has asked for before."""
        grace_s = min(self._asked_tokens * GRACE_S_PER_TOKEN, MOST_GRACE_S)
        self._asked_tokens += tokens
        return self._arrived_s + grace_s

    def finish(self, index: int, result: object) -> None:
        """One record has its result."""
        self._finished.append((index, result))
        self.unfinished -= 1
        self.is_over = self.unfinished == 0

    def fail(self, error: BaseException | None) -> None:
        """Nothing more is to come of it; None: because nobody waits for it."""
        self.error, self.is_over = error, True
        self.unbegun.clear()

    def take_finished(self) -> list[tuple[int, Any]]:
        """Results, each with its record's index, that were not taken before."""
        taken = []
        while self._finished:
            taken.append(self._finished.popleft())
        return taken


@dataclass(slots=True, eq=False)
class Chain:
    """One record's steps, run by one thread at a time. After `step` exactly one of asked, result, error is new."""

    job: Job
    index: int
    steps: Steps[Any]
    asked: Rows | None = None
    identities: Sequence[bytes] = ()
    logits: list[FloatArray | None] = field(default_factory=list)
    missing: int = 0
    result: Any = None
    error: BaseException | None = None

    def step(self) -> None:
        """Goes on until it wants more rows, has its result, or fails. Takes no lock and raises nothing."""
        logits, self.asked = [row for row in self.logits if row is not None], None
        try:
            self.asked = self.steps.send(logits) if self.logits else next(self.steps)
            self.identities = [row.identity for row in self.asked.inputs]
        except StopIteration as end:
            self.result = end.value
        except Exception as error:  # whatever it is, its request alone fails
            self.error = error
