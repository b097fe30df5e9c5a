"""One thing that the memory cache holds or is about to hold, and the right to use it. Knows no order and no budget."""

import enum
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of memory: what stays once it is loaded, and the most it takes while it loads (never less)."""

    resident_bytes: int
    peak_bytes: int

    @classmethod
    def of(cls, resident_bytes: int, *, peak_bytes: int | None = None) -> Self:
        """A footprint whose peak is unknown, or not below what stays."""
        return cls(resident_bytes, max(resident_bytes, peak_bytes or 0))


class State(enum.Enum):
    """Where an entry is on its way, in this order; a load that fails ends it from LOADING."""

    WAITING = "waiting"
    LOADING = "loading"
    READY = "ready"
    CLOSING = "closing"


@dataclass(slots=True, eq=False)
class Entry(Generic[T]):
    """Changed under the cache's lock alone."""

    key: str
    load: Callable[[], T]
    footprint: Footprint
    used_at_s: float
    state: State = State.WAITING
    value: T | None = None
    counted_bytes: int = 0
    leases: int = 0
    is_retired: bool = False
    is_patient: bool = True
    waiters: "list[Future[MemoryLease[T]]]" = field(default_factory=list)
    closed: "Future[int]" = field(default_factory=Future)

    @property
    def is_waiting(self) -> bool:
        """Whether its load has not begun."""
        return self.state is State.WAITING

    @property
    def is_idle(self) -> bool:
        """Whether it may be closed."""
        return self.state is State.READY and self.leases == 0


class MemoryLease(Generic[T]):
    """The right to use `value` until `release`; meanwhile it is not closed. Any thread may release, repeatedly."""

    def __init__(self, key: str, value: T, release: Callable[[], None]) -> None:
        self.key = key
        self.value = value
        self._release = release

    def release(self) -> None:
        """Gives the right back; `value` must not be used afterwards."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def abandon(future: "Future[MemoryLease[T]]") -> None:
    """Leaves the wait for a lease; one that comes all the same is given back."""
    if not future.cancel():
        future.add_done_callback(lambda done: None if done.exception() else done.result().release())


def follow(future: "Future[MemoryLease[T]]", lease: "Future[MemoryLease[T]]") -> None:
    """Hands `lease` on to `future`; for one who has left meanwhile it is given back."""

    def hand_on(done: "Future[MemoryLease[T]]") -> None:
        error = done.exception()
        if future.set_running_or_notify_cancel():
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(done.result())
        elif error is None:
            done.result().release()

    lease.add_done_callback(hand_on)
