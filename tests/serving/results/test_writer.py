"""The hop between the event loop and the spool: nobody's answer is lost, forgotten or kept waiting."""

import asyncio
from pathlib import Path

import pytest

from absa_server.errors import ResultsUnavailable
from absa_server.serving.results.spool import Spool, SpoolLimits
from absa_server.serving.results.writer import SpoolWriter

LINE = b"1234567\n"


def test_stampede_of_answers_is_all_kept(tmp_path: Path):
    """A thousand answers at once are all in the spool when their keep returns."""
    spool = Spool(tmp_path, SpoolLimits(1 << 20))
    writer = SpoolWriter(spool, is_required=False)

    async def run() -> None:
        await asyncio.gather(*(writer.keep([LINE]) for _ in range(1000)))

    asyncio.run(run())
    assert (spool.pending_lines, writer.dropped) == (1000, 0)
    writer.close()


def test_answer_that_does_not_fit_is_dropped_and_counted(tmp_path: Path):
    """Where results are a wish, a full spool lets the answer go on and counts what it lost."""
    writer = SpoolWriter(Spool(tmp_path, SpoolLimits(8)), is_required=False)

    async def run() -> None:
        await writer.keep([LINE])
        await writer.keep([LINE, LINE])

    asyncio.run(run())
    assert writer.dropped == 2
    writer.close()


def test_answer_that_does_not_fit_is_refused_where_results_are_required(tmp_path: Path):
    """With is_required the caller gets an error that says when to come again."""
    writer = SpoolWriter(Spool(tmp_path, SpoolLimits(7)), is_required=True)
    with pytest.raises(ResultsUnavailable, match="ABSA_RESULTS_SPOOL_MB") as refused:
        asyncio.run(writer.keep([LINE]))
    assert refused.value.retry_after_s > 0
    writer.close()


def test_cancelled_answer_harms_nobody(tmp_path: Path):
    """A request that is cancelled while it waits leaves the others' lines in place."""
    spool = Spool(tmp_path, SpoolLimits(1 << 20))
    writer = SpoolWriter(spool, is_required=False)

    async def run() -> None:
        task = asyncio.create_task(writer.keep([LINE]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await writer.keep([LINE])

    asyncio.run(run())
    assert spool.pending_lines == 2
    writer.close()


def test_closed_writer_has_written_what_waited(tmp_path: Path):
    """close settles every answer that came before it, and those that come after are dropped, not hung."""
    spool = Spool(tmp_path, SpoolLimits(1 << 20))
    writer = SpoolWriter(spool, is_required=False)

    async def run() -> None:
        waiting = [asyncio.create_task(writer.keep([LINE])) for _ in range(50)]
        await asyncio.sleep(0)
        await asyncio.to_thread(writer.close)
        await asyncio.gather(*waiting)
        await writer.keep([LINE])

    asyncio.run(run())
    assert (spool.pending_lines, writer.dropped) == (50, 1)
