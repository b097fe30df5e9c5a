"""How many requests side by side a store is worth, learned from how long bytes are waited for. Knows no store.

Amazon S3 brings 85 to 90 MB/s by each, and is asked by several:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-design-patterns.html. A store that brings
bytes faster than they are unpacked is asked by one, which is then cheapest for both.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# After so many bytes it is looked at how long their taker waited, or sooner, once it has waited for so long and for too
# large a share: small artifacts need not fill a window to be asked for by more. Fewer: a store that pauses once, for 10
# to 30 ms, seems slow.
_WINDOW_BYTES: Final = 64 << 20
_WINDOW_WAITING_S: Final = 0.1
# Shares of a window's time spent waiting. Above the larger there are too few requests, below the smaller one too many;
# between them nothing changes, so that a store as fast as its taker is not asked by fewer, and then by more again.
_TOO_LONG: Final = 1 / 3
_NOT_AT_ALL: Final = 0.02


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


class Window:
    """How long bytes were waited for since the last window; not the first ones, which always take a while."""

    def __init__(self) -> None:
        self._bytes = 0
        self._waited_s = 0.0
        self._begin: float | None = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The time inside is waited."""
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
        share = self._waited_s / max(now - self._begin, 1e-9)
        is_slow = self._waited_s > _WINDOW_WAITING_S and share > _TOO_LONG
        if self._bytes < _WINDOW_BYTES and not is_slow:
            return None
        self._bytes, self._waited_s, self._begin = 0, 0.0, now
        return share
