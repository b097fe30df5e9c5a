"""Bytes that are received side by side and taken in order: each once, by as many requests as keep nobody waiting."""

import functools
import math
import random
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_loader import Deadline, DeadlineExceeded
from model_loader import read_ahead as module
from model_loader.read_ahead import Part, Width, read_ahead
from model_loader.sources import StoredFile

KB = 1 << 10
PIECE = 1 * KB
PART = 8 * KB


def file(size: int, path: str = "model.bin") -> StoredFile:
    return StoredFile(path, size, "tag")


@functools.cache
def content(one: StoredFile) -> bytes:
    """Bytes of its own."""
    return random.Random(one.path).randbytes(one.size_bytes)


class Store:
    """Receives parts from memory, and notes what was asked for. `before` is called with each part and where it is."""

    def __init__(self, before: Callable[[Part, int], None] = lambda part, at: None) -> None:
        self.asked: list[tuple[str, int, int]] = []
        self._before = before
        self._lock = threading.Lock()
        self.running = self.most_running = 0

    def receive(self, part: Part) -> None:
        with self._lock:
            self.asked.append((part.file.path, part.at, part.end))
            self.running += 1
            self.most_running = max(self.running, self.most_running)
        try:
            data = content(part.file)
            while part.is_wanted:
                self._before(part, part.at)
                part.put(data[part.at : min(part.at + PIECE, part.end)])
        finally:
            with self._lock:
                self.running -= 1


class NotedWidth(Width):
    """Notes how far it went up."""

    highest = 0

    def learn(self, waiting: float) -> None:
        super().learn(waiting)
        self.highest = max(self.highest, self.now)


def read(
    store: Store, files: Sequence[StoredFile], *, width: Width | None = None, part_bytes: int = PART,
    take: Callable[[bytes], None] = lambda piece: None, seconds: float = 60,
) -> list[bytes]:  # fmt: skip
    """All of `files`."""
    found = []
    reading = read_ahead(
        store.receive, files, part_bytes=part_bytes, width=width or Width(4), deadline=Deadline(seconds), doing="x"
    )
    with reading as reader:
        for one in files:
            pieces = []
            for piece in reader.pieces(one):
                take(bytes(piece))
                pieces.append(bytes(piece))
            found.append(b"".join(pieces))
    return found


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WINDOW_BYTES", 16 * KB)
    monkeypatch.setattr(module, "_FIRST_PART_BYTES", KB)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 60 * KB), max_size=6), most=st.integers(1, 5), part_bytes=st.integers(1, 20 * KB))
def test_files_are_their_bytes(sizes: list[int], most: int, part_bytes: int) -> None:
    """In order, whatever their sizes; nothing is asked for twice and never more at a time than allowed."""
    files = [file(size, str(number)) for number, size in enumerate(sizes)]
    store = Store()
    assert read(store, files, width=Width(most), part_bytes=max(part_bytes, 500)) == [content(one) for one in files]
    assert store.most_running <= most
    asked = sorted(store.asked, key=lambda one: (int(one[0]), one[1]))
    for one in files:
        ranges = [(begin, end) for path, begin, end in asked if path == one.path]
        assert [begin for begin, _ in ranges] == [0, *(end for _, end in ranges[:-1])][: len(ranges)]
        assert sum(end - begin for begin, end in ranges) == one.size_bytes


def test_parts_begin_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of each size among those that are begun at once; later ones are whole parts."""
    monkeypatch.setattr(module, "_FIRST_PART_BYTES", KB)
    store = Store()
    read(store, [file(100 * KB)], width=Width(8))
    sizes = [end - begin for _, begin, end in sorted(store.asked, key=lambda one: one[1])]
    assert sizes[:8] == [1 * KB, 1 * KB, 2 * KB, 2 * KB, 4 * KB, 4 * KB, 8 * KB, 8 * KB]
    assert set(sizes[8:-1]) == {8 * KB}


def test_fast_store_is_asked_by_one(small_windows: None) -> None:
    """Nobody waits: one request less after each window, until a single one brings all that is left. Remembered."""
    width = Width(4)
    store = Store()
    one = file(400 * KB)
    assert read(store, [one], width=width, take=lambda _: time.sleep(0.001)) == [content(one)]
    assert width.now == 1
    assert max(end - begin for _, begin, end in store.asked) > 200 * KB
    again = Store()
    assert read(again, [one], width=width, take=lambda _: time.sleep(0.001)) == [content(one)]
    assert again.asked == [(one.path, 0, one.size_bytes)]


def test_slow_store_is_asked_by_several(small_windows: None) -> None:
    """Bytes are waited for: twice as many requests, up to the most; the long one leaves them the rest."""
    width = NotedWidth(4)
    width.now = 1
    store = Store(before=lambda part, at: time.sleep(0.001))
    one = file(400 * KB)
    assert read(store, [one], width=width) == [content(one)]
    assert width.highest == 4
    assert store.asked[0] == (one.path, 0, one.size_bytes)
    later = sorted(store.asked[1:], key=lambda one: one[1])
    assert later[0][1] < 100 * KB
    assert all(end - begin <= PART for _, begin, end in later)
    assert [begin for _, begin, _ in later[1:]] == [end for _, _, end in later[:-1]], "each byte once, but the first's"


@pytest.mark.parametrize(
    ("now", "waiting", "then"),
    [(4, 0.34, 8), (8, 0.34, 8), (1, 1.0, 2), (4, 0.33, 4), (4, 0.02, 4), (4, 0.0, 3), (1, 0.0, 1)],
)
def test_width_follows_the_waiting(now: int, waiting: float, then: int) -> None:
    """Doubled above a third of the time, one less below 2 %, unchanged on and between both limits; 1 to the most."""
    width = Width(8)
    width.now = now
    width.learn(waiting)
    assert width.now == then


def test_first_bytes_are_no_waiting(small_windows: None) -> None:
    """A store that answers late and then fast is a fast one."""
    width = Width(1)
    width.most = 2
    store = Store(before=lambda part, at: time.sleep(0.2) if at == 0 else None)
    read(store, [file(64 * KB)], width=width, take=lambda _: time.sleep(0.001))
    assert width.now == 1


@pytest.mark.parametrize("now", [1, 4])
def test_memory_is_bounded(now: int) -> None:
    """Nobody takes: of each part as much is received as there is room for, whatever it will bring."""
    width = Width(4)
    width.now = now
    store = Store()
    reading = read_ahead(
        store.receive, [file(400 * KB)], part_bytes=PART, width=width, deadline=Deadline(60), doing="x"
    )
    with reading as reader:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            held = sum(part._held_bytes for part in reader._parts)
            assert held <= now * PART
            time.sleep(0.01)
        assert held > PART // 2


def test_failure_comes_behind_what_was_received() -> None:
    """Bytes before it are given first; those of later parts are not."""

    def fail(part: Part, at: int) -> None:
        if at == 5 * KB:
            raise ConnectionError("broken")

    taken: list[bytes] = []
    one = file(64 * KB)
    with pytest.raises(ConnectionError, match="broken"):
        read(Store(before=fail), [one], take=taken.append)
    assert b"".join(taken) == content(one)[: 5 * KB]


def test_deadline_ends_the_waiting() -> None:
    """A silent store is told as such, on time and when cancelled."""
    silent = threading.Event()
    try:
        with pytest.raises(DeadlineExceeded, match=r"not done within 0\.2 s"):
            read(Store(before=lambda part, at: silent.wait(30)), [file(KB)], seconds=0.2)
        deadline = Deadline(math.inf)
        threading.Timer(0.1, deadline.cancel).start()
        store = Store(before=lambda part, at: silent.wait(30))
        reading = read_ahead(store.receive, [file(KB)], part_bytes=PART, width=Width(2), deadline=deadline, doing="x")
        with pytest.raises(DeadlineExceeded, match="cancelled"), reading as reader:
            list(reader.pieces(file(KB)))
    finally:
        silent.set()


def test_leaving_ends_all_requests() -> None:
    """Those that wait for room too, and nothing more is begun."""
    store = Store()
    one = file(400 * KB)
    with read_ahead(store.receive, [one], part_bytes=PART, width=Width(4), deadline=Deadline(60), doing="x") as reader:
        next(reader.pieces(one))
    end = time.monotonic() + 10
    while store.running and time.monotonic() < end:
        time.sleep(0.01)
    assert store.running == 0
    assert len(store.asked) <= 5


def test_shortened_part_hands_over_the_rest() -> None:
    """What is received beyond the new end is left out; a part that ends soon anyway keeps all."""
    part = Part(file(100), 0, 100, room_bytes=1000)
    part.put(bytes(10))
    assert part.shorten(20) == (30, 100)
    part.put(bytes(50))
    assert (part.at, part.is_wanted) == (30, False)
    assert [len(part.take(0) or b"") for _ in range(2)] == [10, 20]
    assert part.is_taken
    assert Part(file(100), 90, 100, room_bytes=1000).shorten(20) == (100, 100)
