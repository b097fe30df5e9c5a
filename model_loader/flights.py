"""One piece of blocking work for all who want its result at the same time. Keeps nothing afterwards."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

from model_loader.errors import CacheClosed

R = TypeVar("R")


class Flights(Generic[R]):
    """Thread-safe: work in `executor`, at most one piece for each key at a time."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._flights: dict[str, Future[R]] = {}

    def join(self, key: str, work: Callable[[], R], then: Callable[["Future[R]"], None]) -> None:
        """Calls `then` with the finished future of `work`: the one under way for `key`, else of a new one."""
        with self._lock:
            flight = self._flights.get(key)
            is_new = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        flight.add_done_callback(then)
        if is_new:
            try:
                self._executor.submit(self._fly, key, flight, work)
            except RuntimeError as error:  # the executor is shut down
                self._land(key)
                flight.set_exception(CacheClosed(f"the server is stopping ({error})"))

    def _fly(self, key: str, flight: "Future[R]", work: Callable[[], R]) -> None:
        try:
            result = work()
        except BaseException as error:  # whatever it is, those who wait must hear of it
            self._land(key)
            flight.set_exception(error)
        else:
            self._land(key)
            flight.set_result(result)

    def _land(self, key: str) -> None:
        with self._lock:
            del self._flights[key]
