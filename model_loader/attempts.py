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

    def call(self, request: Callable[[], T], *, doing: str, progress: Callable[[], int] = lambda: 0) -> T:
        """What `request` answers, asked again after each `TransientFailure`.

        Raises `StoreUnavailable` after `limit` attempts between which `progress` stood still, or when the next one
        would come too late, and `DeadlineExceeded`.
        """
        failures, reached, is_retry = 0, progress(), False
        while True:
            self.deadline.check(doing)
            self._count(is_retry=is_retry)
            is_retry = True
            try:
                return request()
            except TransientFailure as failure:
                if progress() != reached:
                    failures, reached = 0, progress()
                backoff_s = self._jitter(0, min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2**failures))
                failures += 1
                if failures == self._limit or backoff_s >= self.deadline.remaining_s:
                    raise self._given_up(failure, doing, attempts=failures) from failure
                self.deadline.wait(backoff_s)

    def _count(self, *, is_retry: bool) -> None:
        with self._lock:
            self.requests += 1
            self.retries += is_retry

    def _given_up(self, failure: TransientFailure, doing: str, *, attempts: int) -> StoreUnavailable | DeadlineExceeded:
        times = "once" if attempts == 1 else f"{attempts} times"
        return StoreUnavailable(f"{doing}: tried {times}, last: {failure}")
