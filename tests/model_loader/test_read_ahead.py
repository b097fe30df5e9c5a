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
from model_loader import width as width_module
from model_loader.part import Part
from model_loader.read_ahead import read_ahead
from model_loader.sources import StoredFile
from model_loader.width import Width

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


def until(is_so: Callable[[], bool]) -> None:
    """Waits for it, 10 s at most."""
    end = time.monotonic() + 10
    while not is_so() and time.monotonic() < end:
        time.sleep(0.005)


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
    monkeypatch.setattr(width_module, "_WINDOW_BYTES", 16 * KB)
    monkeypatch.setattr(module, "_FIRST_PART_BYTES", KB)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 60 * KB), max_size=6), most=st.integers(1, 5), part_bytes=st.integers(500, 20 * KB)
)
def test_files_are_their_bytes(sizes: list[int], most: int, part_bytes: int) -> None:
    """In order, whatever their sizes; nothing is asked for twice and never more at a time than allowed."""
    files = [file(size, str(number)) for number, size in enumerate(sizes)]
    store = Store()
    assert read(store, files, width=Width(most), part_bytes=part_bytes) == [content(one) for one in files]
    assert store.most_running <= most
    asked = sorted(store.asked, key=lambda one: (int(one[0]), one[1]))
    for one in files:
        ranges = [(begin, end) for path, begin, end in asked if path == one.path]
        assert [begin for begin, _ in ranges] == [0, *(end for _, end in ranges[:-1])][: len(ranges)]
        assert sum(end - begin for begin, end in ranges) == one.size_bytes


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 60 * KB), max_size=4), most=st.integers(1, 5), seed=st.integers(0, 999))
def test_width_changes_no_bytes(sizes: list[int], most: int, seed: int) -> None:
    """Other fetches change it, too, at any moment: parts are begun, left to others and joined all the same."""
    files = [file(size, str(number)) for number, size in enumerate(sizes)]
    width, chance = Width(most), random.Random(seed)

    def change(_: bytes) -> None:
        if chance.random() < 0.2:
            width.now = chance.randint(1, most)

    store = Store()
    assert read(store, files, width=width, take=change) == [content(one) for one in files]
    assert store.most_running <= most


@pytest.mark.parametrize("now", [1, 2, 4])
def test_files_are_asked_for_by_as_many_as_are_worth_it(now: int) -> None:
    """Small files follow one another: the next is asked for when one has arrived, not when it was taken."""
    width = Width(4)
    width.now = now
    files = [file(2 * KB, str(number)) for number in range(30)]
    store = Store(before=lambda part, at: time.sleep(0.001))
    assert read(store, files, width=width) == [content(one) for one in files]
    assert store.most_running == now


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


def test_first_bytes_are_no_waiting(small_windows: None) -> None:
    """A store that answers late and then fast is a fast one."""
    width = NotedWidth(2)
    width.now = 1
    store = Store(before=lambda part, at: time.sleep(0.2) if at == 0 else None)
    read(store, [file(64 * KB)], width=width, take=lambda _: time.sleep(0.001))
    assert width.highest == 1


def test_small_fetches_widen_too() -> None:
    """None of them fills a window; a store that keeps them waiting is asked by more all the same."""
    width = Width(4)
    width.now = 1
    files = [file(2 * KB, str(number)) for number in range(30)]
    read(Store(before=lambda part, at: time.sleep(0.02) if at == 0 else None), files, width=width)
    assert width.now == 4


def test_long_part_of_a_folder_is_shared(small_windows: None) -> None:
    """Another fetch has learned that more are needed: before the next files are begun the long one is shortened."""
    width = Width(4)
    width.now = 1
    files = [file(200 * KB, "large"), file(KB, "small"), file(KB, "other")]

    def widen(_: bytes) -> None:
        width.now = 4

    store = Store(before=lambda part, at: time.sleep(0.0005))
    assert read(store, files, width=width, take=widen) == [content(one) for one in files]
    large = [(begin, end) for path, begin, end in store.asked if path == "large"]
    assert len(large) > 10


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


@pytest.mark.parametrize("now", [1, 4])
def test_leaving_ends_all_requests(now: int) -> None:
    """One that waits for room, too; and nothing more is begun."""
    width = Width(4)
    width.now = now
    store = Store()
    one = file(400 * KB)
    reading = read_ahead(store.receive, [one], part_bytes=PART, width=width, deadline=Deadline(60), doing="x")
    with reading as reader:
        next(reader.pieces(one))
        until(lambda: sum(part._held_bytes for part in reader._parts) >= now * PART // 2)
        assert store.running == (1 if now == 1 else 0)
    until(lambda: store.running == 0)
    assert store.running == 0
    assert len(store.asked) <= now + 1


def test_cancelled_reading_ends_although_nobody_waits() -> None:
    """A store that is faster than what is done with its bytes keeps no fetch alive."""
    deadline = Deadline(math.inf)
    one = file(64 * KB)
    reading = read_ahead(Store().receive, [one], part_bytes=PART, width=Width(2), deadline=deadline, doing="x")
    with reading as reader:
        pieces = reader.pieces(one)
        assert len([next(pieces) for _ in range(3)]) == 3
        deadline.cancel()
        with pytest.raises(DeadlineExceeded, match="cancelled"):
            next(pieces)
