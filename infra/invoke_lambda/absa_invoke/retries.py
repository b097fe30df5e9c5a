"""Tries and the pauses between them, inside a time budget. Ours, because botocore's repeat what must not be repeated.

botocore sends a request again after a read timeout, so that a slow inference runs three times, and its `standard` mode
does not try again while a model is being loaded.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from absa_invoke.budgets import TimeBudget
from absa_invoke.error_table import is_retried
from absa_invoke.failures import OUT_OF_TIME, CallFailed, Failure

FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 2.0
MAX_TRIES = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retries:
    """Full jitter: each pause is drawn from 0 to a bound that doubles. Thread-safe; it holds no state."""

    max_tries: int = MAX_TRIES
    sleep: Callable[[float], None] = field(default=time.sleep)
    # Spreads callers that failed together; nothing is kept secret by it.
    draw: Callable[[float, float], float] = field(default=random.uniform)

    def run(self, call: Callable[[float], T], budget: TimeBudget) -> tuple[T, int]:
        """What `call` returns, and how many tries it took; it is given each try's read timeout in seconds.

        Raises `CallFailed` for a failure that is not tried again, or after the last try that fits into the budget.
        """
        tries = 0
        timeout_s = budget.read_timeout_s()
        if timeout_s is None:
            raise CallFailed(Failure(OUT_OF_TIME), tries=0)
        while True:
            tries += 1
            try:
                return call(timeout_s), tries
            except CallFailed as error:
                pause_s = self.draw(0.0, min(MAX_PAUSE_S, FIRST_PAUSE_S * 2 ** (tries - 1)))
                following_s = budget.read_timeout_s(after_s=pause_s)
                if not is_retried(error.failure) or tries >= self.max_tries or following_s is None:
                    raise CallFailed(error.failure, tries=tries) from error
                self.sleep(pause_s)
                timeout_s = following_s
