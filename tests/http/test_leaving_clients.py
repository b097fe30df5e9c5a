"""A client that leaves ends the work on its request; one that stays, and a cancellation by others, are left alone."""

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from absa_server.errors import ClientLeft
from absa_server.http.body import EndedByDisconnect


def request_of(leaving: asyncio.Event) -> Request:
    async def receive() -> Message:
        await leaving.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_client_that_leaves_ends_what_is_awaited():
    """The news cancels the work, and comes out as an error of ours."""

    async def run() -> None:
        leaving = asyncio.Event()
        leaving.set()
        with pytest.raises(ClientLeft):
            async with EndedByDisconnect(request_of(leaving), after_s=0):
                await asyncio.Event().wait()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    asyncio.run(run())


@pytest.mark.parametrize("after_s", [0.0, 3600.0])
def test_client_that_stays_leaves_no_task_behind(after_s):
    """Watched or not yet watched, the end of the work ends the watching."""

    async def run() -> None:
        async with EndedByDisconnect(request_of(asyncio.Event()), after_s=after_s):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_cancellation_by_others_stays_one():
    """A deadline or a stop is not mistaken for a client that left, even when the client leaves as well."""

    async def run() -> None:
        leaving = asyncio.Event()
        leaving.set()

        async def work() -> None:
            async with EndedByDisconnect(request_of(leaving), after_s=0):
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await asyncio.Event().wait()

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(work())

    asyncio.run(run())


def test_error_of_the_work_passes_untouched():
    """What goes wrong inside is not covered up by the end of the watching."""

    async def work() -> None:
        async with EndedByDisconnect(request_of(asyncio.Event()), after_s=0):
            await asyncio.sleep(0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(work())
