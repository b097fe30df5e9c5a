"""Requests tried again while that may help: full jitter, one deadline, counted. Knows no store.

Full jitter, as AWS recommends it: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from model_loader.deadlines import Deadline
from model_loader.errors import DeadlineExceeded, StoreUnavailable

T = TypeVar("T")

_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 5.0


class TransientFailure(Exception):
    """A request failed in a way that may pass; the message says how. It never leaves `Attempts.call`."""


class Attempts:
    """All requests of one operation. Safe to share among threads; `requests` and `retries` count over all of them."""

    def __init__(
        self, deadline: Deadline, *, limit: int = 8, jitter: Callable[[float, float], float] = random.uniform
    ) -> None:
        self.deadline = deadline
        self.requests = 0
        self.retries = 0
        self._limit = limit
        self._jitter = jitter
        self._lock = threading.Lock()

    def call(self, request: Callable[[], T], *, doing: str) -> T:
        """What `request` answers, asked again after each `TransientFailure`.

        Raises `StoreUnavailable` after `limit` attempts, or when the next one would come too late, and
        `DeadlineExceeded`.
        """
        for number in range(self._limit):
            self.deadline.check(doing)
            self._count(is_retry=number > 0)
            try:
                return request()
            except TransientFailure as failure:
                backoff_s = self._jitter(0, min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2**number))
                if number + 1 == self._limit or backoff_s >= self.deadline.remaining_s:
                    raise self._given_up(failure, doing, attempts=number + 1) from failure
                self.deadline.wait(backoff_s)
        raise AssertionError("at least one attempt is made, and the last one returns or raises")

    def _count(self, *, is_retry: bool) -> None:
        with self._lock:
            self.requests += 1
            self.retries += is_retry

    def _given_up(self, failure: TransientFailure, doing: str, *, attempts: int) -> StoreUnavailable | DeadlineExceeded:
        times = "once" if attempts == 1 else f"{attempts} times"
        return StoreUnavailable(f"{doing}: tried {times}, last: {failure}")
