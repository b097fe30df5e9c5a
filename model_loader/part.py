"""A part of an object on its way from the thread that receives it to the one that takes it. Knows no store."""

import threading
from collections import deque

from model_loader.pieces import Piece
from model_loader.sources import StoredFile


class Part:
    """Bytes `at` to `end`, exclusive, of `file`: received by one thread, taken by another.

    `at` is where the next byte to be received lies; `end` may come nearer meanwhile.
    """

    def __init__(self, file: StoredFile, begin: int, end: int, *, room_bytes: int) -> None:
        self.file = file
        self.at = begin
        self.end = end
        self._room_bytes = room_bytes
        self._held: deque[Piece] = deque()
        self._held_bytes = 0
        self._failure: BaseException | None = None
        self._is_dropped = False
        self._changed = threading.Condition()

    @property
    def is_wanted(self) -> bool:
        """Whether there is more to be received."""
        return self.at < self.end and not self._is_dropped

    @property
    def is_taken(self) -> bool:
        """Whether all of it was received and taken."""
        with self._changed:
            return self.at == self.end and not self._held

    def put(self, piece: Piece) -> None:
        """The next bytes; what is beyond `end` is left out. Waits while `room_bytes` are held."""
        with self._changed:
            if self._held_bytes >= self._room_bytes:
                self._changed.wait_for(lambda: self._is_dropped or self._has_much_room)
            piece = piece[: self.end - self.at]
            self.at += len(piece)
            self._held.append(piece)
            self._held_bytes += len(piece)
            self._changed.notify_all()

    @property
    def _has_much_room(self) -> bool:
        """Enough for several pieces: two threads that wake each other for each would do little else."""
        return self._held_bytes <= self._room_bytes // 2

    def fail(self, failure: BaseException) -> None:
        """Raised to whoever takes, behind the bytes that were received."""
        with self._changed:
            self._failure = failure
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Piece | None:
        """The next bytes, or None when none came in time. Raises what `fail` was told."""
        with self._changed:
            self._changed.wait_for(lambda: self._held or self._failure is not None, timeout_s)
            if not self._held:
                if self._failure is not None:
                    raise self._failure
                return None
            piece = self._held.popleft()
            self._held_bytes -= len(piece)
            if self._has_much_room:
                self._changed.notify_all()
            return piece

    def shorten(self, ahead_bytes: int) -> tuple[int, int]:
        """Let it end `ahead_bytes` from `at`, or where it does: begin and end of what is left, which may be nothing."""
        with self._changed:
            end, self.end = self.end, min(self.end, self.at + ahead_bytes)
            return self.end, end

    def drop(self) -> None:
        """Whoever receives it may stop."""
        with self._changed:
            self._is_dropped = True
            self._held.clear()
            self._changed.notify_all()
