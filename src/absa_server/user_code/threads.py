"""Threads for code that nobody can interrupt: so many at a time, and none of them keeps the process from ending."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


class BoundedThreads:
    """Lives on one event loop. A caller that is cancelled leaves its thread working, and its place taken until then."""

    def __init__(self, limit: int, *, name: str) -> None:
        self._places = asyncio.Semaphore(limit)
        self._name = name

    async def run(self, call: Callable[[], Result]) -> Result:
        """What `call` returns, or raises, in a thread of its own; waits for a place first."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()

        def work() -> None:
            try:
                result, error = [call()], None
            except BaseException as raised:  # also SystemExit: whatever the code raises, its caller gets it
                result, error = [], raised
            try:
                loop.call_soon_threadsafe(self._settle, done, result, error)
            except RuntimeError:  # the loop has been closed: the server is gone
                return

        # A daemon: a pool's threads are waited for when the process ends, and this may never return.
        threading.Thread(target=work, name=self._name, daemon=True).start()
        return await done

    def _settle(self, done: "asyncio.Future[Result]", result: list[Result], error: BaseException | None) -> None:
        self._places.release()
        if done.done():  # its caller was cancelled meanwhile
            return
        if error is None:
            done.set_result(result[0])
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            done.set_exception(error)
        else:  # no future may hold a StopIteration, and no KeyboardInterrupt of the code may end the server
            done.set_exception(RuntimeError(f"the code raised {type(error).__name__}"))
