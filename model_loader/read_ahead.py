"""Objects' bytes in order, from requests that run ahead of whoever takes them. Knows no store.

By as many requests side by side as it takes for nobody to wait: width.py.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from model_loader.deadlines import Deadline
from model_loader.part import Part
from model_loader.pieces import Piece
from model_loader.sources import StoredFile
from model_loader.width import Width, Window

# The first parts of a fetch double from here, two of each size: they arrive side by side, and whoever takes them waits
# for the first to arrive whole when it has to share the network with seven large ones.
_FIRST_PART_BYTES: Final = 1 << 20
# How soon a cancelled deadline is noticed by a thread that waits for bytes.
_POLL_S: Final = 0.2


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
        self._window = Window()
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
        self._deadline.check(self._doing)  # a cancelled fetch ends although nobody has to wait, too
        part = self._parts[0]
        if (piece := part.take(0)) is None:
            with self._window.waiting():
                while (piece := part.take(min(_POLL_S, self._deadline.remaining_s))) is None:
                    self._deadline.check(self._doing)
        if part.is_taken:
            self._parts.popleft()
        if (waiting := self._window.add(len(piece))) is not None:
            self._width.learn(waiting)
        if self._parts and self._width.now > 1:  # made more by this fetch or by another, and before others are begun
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

    At most `width.most` parts are held, and of each `part_bytes` and two pieces. Leaving the block drops them and waits
    for nothing; calls of `receive` under way must end by themselves.
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
