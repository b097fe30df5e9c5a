"""Bytes that are written before somebody takes them: in memory while they are few, in a nameless file when not.

Neither side waits for the other, so that a client that sends all before it reads anything cannot block itself.
"""

import asyncio
import tempfile
from types import TracebackType
from typing import Self

# Above it the bytes are in a file. Higher: more memory a request; lower: more of what is read late touches the disk.
MEMORY_BYTES = 1 << 20


class AnswerBuffer:
    """First in, first out, on one event loop, with one taker. Leaving the `with` block deletes the file."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=memory_bytes)  # noqa: SIM115  closed on leaving
        self._written = self._taken = 0
        self._is_ended = False
        self._news = asyncio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def put(self, content: bytes) -> None:
        """Adds bytes. Raises `OSError` when the disk is full."""
        self._file.seek(self._written)
        self._file.write(content)
        self._written += len(content)
        self._news.set()

    def end(self) -> None:
        """Nothing more comes."""
        self._is_ended = True
        self._news.set()

    async def take(self, max_bytes: int) -> bytes:
        """The next bytes, once there are some, at most so many; none at the end."""
        while self._taken == self._written and not self._is_ended:
            self._news.clear()
            await self._news.wait()
        self._file.seek(self._taken)
        content = self._file.read(max_bytes)
        self._taken += len(content)
        if self._taken == self._written:  # what everybody has seen takes no room
            self._written = self._taken = 0
            self._file.seek(0)
            self._file.truncate()
        return content
