"""What a change of the memory cache's state calls for once its lock is given back. Decides nothing."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic

from model_loader.memory_entry import Entry, MemoryLease, T


@dataclass(slots=True)
class Work(Generic[T]):
    """Those who wait and what they are told, loads to start (after closing others for them), and what is to be closed.

    `dropped` never held anything: whoever waits for their end is told at once.
    """

    answers: list[tuple[Future[MemoryLease[T]], MemoryLease[T] | Exception]] = field(default_factory=list)
    starts: list[tuple[Entry[T], list[Entry[T]]]] = field(default_factory=list)
    closings: list[Entry[T]] = field(default_factory=list)
    dropped: list[Entry[T]] = field(default_factory=list)

    def tell(self) -> None:
        """Settles all who wait, which runs their callbacks; a lease for one who has left is given back."""
        for future, answer in self.answers:
            is_wanted = future.set_running_or_notify_cancel()
            if isinstance(answer, MemoryLease):
                (future.set_result if is_wanted else _give_back)(answer)
            elif is_wanted:
                future.set_exception(answer)
        for entry in self.dropped:
            entry.closed.set_result(0)


def _give_back(lease: MemoryLease[T]) -> None:
    lease.release()
