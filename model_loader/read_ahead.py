"""Objects' bytes in order, from requests that run ahead of whoever takes them. Knows no store.

By as many requests side by side as it takes for nobody to wait. Amazon S3 brings 85 to 90 MB/s by each, and is asked by
several: https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-design-patterns.html. A store that
brings bytes faster than they are unpacked is asked by one, which is then cheapest for both.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from model_loader.deadlines import Deadline
from model_loader.pieces import Piece
from model_loader.sources import StoredFile

# The first parts of a fetch double from here, two of each size: they arrive side by side, and whoever takes them waits
# for the first to arrive whole when it has to share the network with seven large ones.
_FIRST_PART_BYTES: Final = 1 << 20
# After so many bytes it is looked at how long their taker waited. Fewer: a store that pauses once seems slow.
_WINDOW_BYTES: Final = 64 << 20
# Shares of a window's time spent waiting. Above the larger there are too few requests, below the smaller one too many;
# between them nothing changes, so that a store as fast as its taker is not asked by fewer, and then by more again.
_TOO_LONG: Final = 1 / 3
_NOT_AT_ALL: Final = 0.02
# How soon a cancelled deadline is noticed by a thread that waits for bytes.
_POLL_S: Final = 0.2


class Width:
    """How many requests side by side a store is worth: `most` at first, learned from each window of each fetch.

    Shared by fetches at the same time, each of which changes it for all.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.now = most

    def learn(self, waiting: float) -> None:
        """After a window in which bytes were waited for during the share `waiting` of its time."""
        if waiting > _TOO_LONG:
            self.now = min(2 * self.now, self.most)
        elif waiting < _NOT_AT_ALL:
            self.now = max(1, self.now - 1)


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


class _Window:
    """How long bytes were waited for since the last `_WINDOW_BYTES`; not the first ones, which always take a while."""

    def __init__(self) -> None:
        self._bytes = 0
        self._waited_s = 0.0
        self._begin: float | None = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self._waited_s += time.monotonic() - begin

    def add(self, size: int) -> float | None:
        """`size` more bytes: at the end of a window the share of its time that was waited, else None."""
        now = time.monotonic()
        if self._begin is None:
            self._begin, self._waited_s = now, 0.0
            return None
        self._bytes += size
        if self._bytes < _WINDOW_BYTES:
            return None
        share = self._waited_s / max(now - self._begin, 1e-9)
        self._bytes, self._waited_s, self._begin = 0, 0.0, now
        return share


class ReadAhead:
    """Files read one after the other, each to its end; made by `read_ahead`."""

    def __init__(
        self, begin: Callable[[Part], object], files: Sequence[StoredFile], *, part_bytes: int, width: Width,
        deadline: Deadline, doing: str,
    ) -> None:  # fmt: skip
        self._begin = begin
        self._left = deque((file, 0, file.size_bytes) for file in files if file.size_bytes)
        self._part_bytes = part_bytes
        self._width = width
        self._deadline = deadline
        self._doing = doing
        self._parts: deque[Part] = deque()
        self._window = _Window()
        while self._has_place:
            self._begin_next(min(part_bytes, _FIRST_PART_BYTES << len(self._parts) // 2))

    def pieces(self, file: StoredFile) -> Iterator[Piece]:
        """All bytes of `file`, the first of those that were not read yet.

        Raises what receiving them raised, and `DeadlineExceeded`.
        """
        left = file.size_bytes
        while left:
            piece = self._next()
            left -= len(piece)
            yield piece

    def drop(self) -> None:
        """What was begun may stop."""
        for part in self._parts:
            part.drop()

    def _next(self) -> Piece:
        part = self._parts[0]
        if (piece := part.take(0)) is None:
            with self._window.waiting():
                while (piece := part.take(min(_POLL_S, self._deadline.remaining_s))) is None:
                    self._deadline.check(self._doing)
        if part.is_taken:
            self._parts.popleft()
        if (waiting := self._window.add(len(piece))) is not None:
            self._width.learn(waiting)
            if self._parts and self._width.now > 1:
                self._share(self._parts[-1])
        while self._has_place:
            self._begin_next(self._part_bytes)
        return piece

    @property
    def _has_place(self) -> bool:
        """Whether there is something to begin, and few enough are under way and in memory."""
        under_way = sum(part.is_wanted for part in self._parts)
        return bool(self._left) and under_way < self._width.now and len(self._parts) < self._width.most

    def _begin_next(self, size: int) -> None:
        """Begin a part of `size` bytes at most; of all that is left of its file where one request is enough."""
        file, begin, end = self._left.popleft()
        if self._width.now > 1 and begin + size < end:
            self._left.appendleft((file, begin + size, end))
            end = begin + size
        self._parts.append(part := Part(file, begin, end, room_bytes=self._part_bytes))
        self._begin(part)

    def _share(self, last: Part) -> None:
        """Leave to other parts what `last` cannot receive soon."""
        begin, end = last.shorten(self._part_bytes)
        if begin < end:
            self._left.appendleft((last.file, begin, end))


@contextmanager
def read_ahead(
    receive: Callable[[Part], None], files: Sequence[StoredFile], *, part_bytes: int, width: Width, deadline: Deadline,
    doing: str,
) -> Iterator[ReadAhead]:  # fmt: skip
    """Reads `files` by calls of `receive`, each in a thread: it puts all that is wanted of its part, or raises.

    At most `width.most` parts are held, and `part_bytes` of each. Leaving the block drops them and waits for nothing;
    calls of `receive` under way must end by themselves.
    """

    def received(part: Part) -> None:
        try:
            receive(part)
        except BaseException as error:  # whatever it is, whoever takes is to know
            part.fail(error)

    pool = ThreadPoolExecutor(width.most, thread_name_prefix="model-loader")
    reader = ReadAhead(
        lambda part: pool.submit(received, part), files, part_bytes=part_bytes, width=width, deadline=deadline,
        doing=doing,
    )  # fmt: skip
    try:
        yield reader
    finally:
        reader.drop()
        pool.shutdown(wait=False, cancel_futures=True)
