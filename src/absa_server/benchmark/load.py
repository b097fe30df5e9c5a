"""The load itself: open-loop (Poisson arrivals) or closed-loop, for a bounded time. Runs in a process of its own.

Open-loop latency counts from the moment at which a request was *meant* to be sent, so a server that stalls is charged
for every request that would have come meanwhile (no coordinated omission).
"""

import asyncio
import gc
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import uvloop

from absa_server.benchmark.connections import ConnectionPool, Exchange
from absa_server.benchmark.texts import Target

HEAD_START_S = 0.02
# More unanswered requests than this: the server is far past its limit, and the rest of the cell would say nothing new.
MAX_UNANSWERED = 4096


@dataclass(frozen=True, slots=True)
class Job:
    """One cell to measure: `rate_rps` requests a second (open loop), or `concurrency` clients (closed loop).

    `lead_in_s` is load that is not counted, `drain_s` the longest wait for answers after the last request.
    """

    target: Target
    lead_in_s: float
    seconds: float
    drain_s: float
    rate_rps: float | None = None
    concurrency: int | None = None
    max_connections: int = 1024
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Trace:
    """Every request of a cell: times in seconds from the window's begin (the lead-in is negative), and statuses.

    `done_s` is infinite where no answer came (status -1); status 0 is a broken connection.
    """

    intended_s: npt.NDArray[np.float64]
    sent_s: npt.NDArray[np.float64]
    done_s: npt.NDArray[np.float64]
    status: npt.NDArray[np.int64]
    generator_cpu_s: float
    generator_wall_s: float
    is_cut_short: bool


def run_job(job: Job, requests: list[bytes]) -> Trace:
    """Make the load of `job` from this process and return what came of it; `requests` are sent round and round."""
    gc.collect()
    gc.freeze()
    gc.disable()  # a collection in the middle of a cell would be a stall of the client, counted as the server's
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(job, itertools.cycle(requests)))
    finally:
        gc.enable()
        gc.unfreeze()


async def _run(job: Job, requests: Iterator[bytes]) -> Trace:
    exchanges: list[Exchange] = []
    cpu_s, begin_s = time.process_time(), time.perf_counter()
    make = _open_loop if job.rate_rps is not None else _closed_loop
    window_s, is_cut_short = await make(job, requests, exchanges)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - begin_s
    return Trace(
        intended_s=np.array([one.intended_s for one in exchanges]) - window_s,
        sent_s=np.array([one.sent_s for one in exchanges]) - window_s,
        done_s=np.array([one.done_s for one in exchanges]) - window_s,
        status=np.array([one.status for one in exchanges], dtype=np.int64),
        generator_cpu_s=cpu_s,
        generator_wall_s=wall_s,
        is_cut_short=is_cut_short,
    )


async def _open_loop(job: Job, requests: Iterator[bytes], exchanges: list[Exchange]) -> tuple[float, bool]:
    """Send at a Poisson process's moments, whatever comes back. The window's begin, and whether it was cut short."""
    pool = _pool(job, lambda _: None)
    begin_s = time.monotonic() + HEAD_START_S
    is_cut_short = False
    for offset_s in _arrivals(job):
        # Yields even when late: the answers that wait to be read are part of what is measured.
        await asyncio.sleep(max(0.0, begin_s + offset_s - time.monotonic()))
        if pool.unanswered > MAX_UNANSWERED:
            is_cut_short = True
            break
        exchanges.append(Exchange(next(requests), begin_s + offset_s))
        pool.submit(exchanges[-1])
    await _drain(pool, job.drain_s)
    return begin_s + job.lead_in_s, is_cut_short


def _arrivals(job: Job) -> list[float]:
    """Moments from the begin of the lead-in; the same for the same seed and rate."""
    rate = job.rate_rps or 0.0
    length_s = job.lead_in_s + job.seconds
    enough = int(rate * length_s + 10 * (rate * length_s) ** 0.5 + 10)
    times = np.cumsum(np.random.default_rng(job.seed).exponential(1 / rate, enough))
    moments: list[float] = times[times < length_s].tolist()
    return moments


async def _closed_loop(job: Job, requests: Iterator[bytes], exchanges: list[Exchange]) -> tuple[float, bool]:
    """Each of the clients sends its next request when it has the answer to its last. As `_open_loop`."""
    begin_s = time.monotonic()
    end_s = begin_s + job.lead_in_s + job.seconds

    def send_next(_: Exchange | None = None) -> None:
        if (now_s := time.monotonic()) < end_s:
            exchanges.append(Exchange(next(requests), now_s))
            pool.submit(exchanges[-1])

    pool = _pool(job, send_next)
    for _ in range(job.concurrency or 1):
        send_next()
    await asyncio.sleep(end_s - time.monotonic())
    await _drain(pool, job.drain_s)
    return begin_s + job.lead_in_s, False


def _pool(job: Job, on_done: Callable[[Exchange], None]) -> ConnectionPool:
    return ConnectionPool(job.target.host, job.target.port, limit=job.max_connections, on_done=on_done)


async def _drain(pool: ConnectionPool, limit_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await pool.wait_until_answered()
    await pool.close()
