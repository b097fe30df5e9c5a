"""Leases of loaded models, awaited on an event loop without a thread."""

import asyncio
from concurrent.futures import Future

from absa_server.serving.loading import LoadedModel
from model_loader import MemoryLease, abandon

Lease = MemoryLease[LoadedModel]


async def granted(future: "Future[Lease]") -> Lease:
    """The lease, or what it failed with; given back when the awaiting task is cancelled."""
    if future.done():
        return future.result()
    try:
        return await asyncio.shield(asyncio.wrap_future(future))
    except asyncio.CancelledError:
        abandon(future)
        raise
