"""Work done in parallel whose results come in order, a bounded number of them at a time. Knows nothing of the work."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from model_loader.deadlines import Deadline

T = TypeVar("T")
U = TypeVar("U")

# How soon a cancelled deadline is noticed by a thread that waits for a result.
_POLL_S = 0.2


@contextmanager
def ordered(
    work: Callable[[T], U], items: Iterable[T], *, width: int, deadline: Deadline, doing: str
) -> Iterator[Iterator[U]]:
    """Results of `work` in the order of `items`; at most `width` of them are being made or wait to be taken.

    Leaving the block drops what has not begun and waits for nothing; what `work` has begun must end by itself. Taking a
    result raises what its work raised, and `DeadlineExceeded`.
    """
    pool = ThreadPoolExecutor(width, thread_name_prefix="model-loader")
    try:
        yield _results(pool, work, iter(items), width=width, deadline=deadline, doing=doing)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _results(
    pool: ThreadPoolExecutor, work: Callable[[T], U], items: Iterator[T], *, width: int, deadline: Deadline, doing: str
) -> Iterator[U]:
    begun = deque(pool.submit(work, item) for item in islice(items, width))
    while begun:
        # Before it is taken its place is not given away: the bytes of all results stay within `width` parts.
        result = _result(begun.popleft(), deadline, doing)
        yield result
        del result
        begun.extend(pool.submit(work, item) for item in islice(items, 1))


def _result(future: Future[U], deadline: Deadline, doing: str) -> U:
    while not wait([future], timeout=min(_POLL_S, deadline.remaining_s)).done:
        deadline.check(doing)
    return future.result()
