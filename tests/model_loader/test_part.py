"""A part between the thread that receives it and the one that takes it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from model_loader.part import Part
from model_loader.sources import StoredFile


def file(size: int) -> StoredFile:
    return StoredFile("model.bin", size, "tag")


def until(is_so: Callable[[], bool]) -> None:
    """Waits for it, 10 s at most."""
    end = time.monotonic() + 10
    while not is_so() and time.monotonic() < end:
        time.sleep(0.005)


def test_receiver_waits_for_room_for_several_pieces() -> None:
    """Full, then half empty: two threads that wake each other for each piece would do little else."""
    part = Part(file(100), 0, 100, room_bytes=40)
    with ThreadPoolExecutor(1) as pool:
        putting = pool.submit(lambda: [part.put(bytes(10)) for _ in range(10)])
        until(lambda: part.at == 40)
        part.take(0)
        time.sleep(0.05)
        assert part.at == 40
        part.take(0)
        until(lambda: part.at == 60)
        assert part.at == 60
        part.drop()
        putting.result(10)


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
