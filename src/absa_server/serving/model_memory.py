"""Loaded models within a budget of memory, and memory that really returns: measured around every unload."""

import logging
from concurrent.futures import ThreadPoolExecutor

from absa_server.engines.memory import return_free_memory
from absa_server.serving.loading import LoadedModel
from absa_server.serving.priorities import yield_to_event_loop
from model_loader import MemoryCache
from model_loader.budgets import memory_budget_bytes, memory_limit_bytes, resident_bytes

logger = logging.getLogger(__name__)

# What the engine keeps for all models together, of which no model's measure tells: kernels for the shapes seen, buffers
# of those in use. It comes with the models, so it is taken off their budget: 50 MB on a server of 20 small models.
_COMMON_SHARE, _MOST_COMMON_BYTES = 0.1, 64 << 20
_SHARE = 0.7
_RESERVE_BYTES = 1 << 30


def create_model_memory(budget_mb: int, load_threads: int) -> MemoryCache[LoadedModel]:
    """A cache for models within `budget_mb`, or for 0 within a share of the container's memory."""
    chosen = memory_budget_bytes(memory_limit_bytes(), share=_SHARE, reserve_bytes=_RESERVE_BYTES)
    budget = budget_mb << 20 or chosen
    room = room_for_models(budget)
    logger.info("memory_budget", extra={"bytes": budget, "room_bytes": room})
    executor = ThreadPoolExecutor(load_threads, thread_name_prefix="model-load", initializer=yield_to_event_loop)
    return MemoryCache(
        room,
        executor=executor,
        loads_at_once=load_threads,
        size_of=lambda model: model.resident_bytes,
        close_value=close_model,
    )


def room_for_models(budget_bytes: int) -> int:
    """What models may take of a budget of memory, as they are measured one by one: nine tenths, or all but 64 MiB."""
    return budget_bytes - min(int(budget_bytes * _COMMON_SHARE), _MOST_COMMON_BYTES)


def close_model(model: LoadedModel) -> int:
    """Closes a model that nobody uses and returns the bytes by which this process became smaller."""
    before = resident_bytes()
    model.close()
    del model
    return_free_memory()
    after = resident_bytes()
    logger.info("model_unloaded", extra={"resident_before_bytes": before, "resident_after_bytes": after})
    return max(0, before - after)
