"""Threads for code that cannot be interrupted: the bound, failures, callers that leave, a loop that ends."""

import asyncio
import threading

import pytest

from absa_server.user_code.threads import BoundedThreads


def test_no_more_run_than_the_limit_and_all_are_answered():
    """Of twenty calls never more than three are under way."""
    lock, running, most = threading.Lock(), 0, 0

    def call(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.002)
        with lock:
            running -= 1
        return number

    async def play() -> list[int]:
        threads = BoundedThreads(3, name="t")
        return await asyncio.gather(*(threads.run(lambda n=n: call(n)) for n in range(20)))

    assert asyncio.run(play()) == list(range(20))
    assert most <= 3


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (ValueError("x"), ValueError),
        (StopIteration(1), RuntimeError),
        (KeyboardInterrupt(), RuntimeError),
        (SystemExit(3), RuntimeError),
    ],
)
def test_what_is_raised_reaches_the_caller_and_frees_the_place(raised: BaseException, seen: type[Exception]):
    """Nothing that a call raises ends the loop."""

    def call() -> None:
        raise raised

    async def play() -> None:
        threads = BoundedThreads(1, name="t")
        with pytest.raises(seen):
            await threads.run(call)
        assert await threads.run(lambda: 7) == 7

    asyncio.run(play())


def test_caller_that_leaves_does_not_free_the_place_of_its_thread():
    """The thread works on: only its end lets the next one in."""
    gate, entered = threading.Event(), threading.Event()

    def call() -> None:
        entered.set()
        assert gate.wait(10)

    async def play() -> None:
        threads = BoundedThreads(1, name="t")
        first = asyncio.create_task(threads.run(call))
        await asyncio.to_thread(entered.wait, 10)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = asyncio.create_task(threads.run(lambda: 7))
        done, _ = await asyncio.wait([second], timeout=0.05)
        assert not done
        gate.set()
        assert await asyncio.wait_for(second, 10) == 7

    asyncio.run(play())


def test_caller_that_leaves_the_queue_takes_no_place():
    """Cancelled before it had a thread, it starts none."""
    gate, entered, ran = threading.Event(), threading.Event(), []

    def call() -> None:
        entered.set()
        assert gate.wait(10)

    async def play() -> None:
        threads = BoundedThreads(1, name="t")
        first = asyncio.create_task(threads.run(call))
        await asyncio.to_thread(entered.wait, 10)
        waiting = asyncio.create_task(threads.run(lambda: ran.append(1)))
        await asyncio.sleep(0)
        waiting.cancel()
        gate.set()
        await first
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await threads.run(lambda: 7) == 7

    asyncio.run(play())
    assert ran == []


def test_thread_that_outlives_its_loop_harms_nobody():
    """The server is gone when the code returns: the answer is for nobody."""
    gate = threading.Event()

    async def play() -> None:
        threads = BoundedThreads(1, name="outliving")
        task = asyncio.create_task(threads.run(gate.wait))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(play())
    (thread,) = [one for one in threading.enumerate() if one.name == "outliving"] or [threading.current_thread()]
    gate.set()
    if thread is not threading.current_thread():
        thread.join(10)
        assert not thread.is_alive()
