"""Loaded models within a budget of memory, and memory that really returns: measured around every unload."""

import logging
from concurrent.futures import ThreadPoolExecutor

from absa_server.engines.memory import return_free_memory
from absa_server.serving.loading import LoadedModel
from absa_server.serving.priorities import yield_to_inference
from model_loader import MemoryCache
from model_loader.budgets import memory_budget_bytes, memory_limit_bytes, resident_bytes

logger = logging.getLogger(__name__)

_SHARE = 0.7
_RESERVE_BYTES = 1 << 30


def create_model_memory(budget_mb: int, load_threads: int) -> MemoryCache[LoadedModel]:
    """A cache for models, of `budget_mb`, or for 0 of a share of the container's memory."""
    chosen = memory_budget_bytes(memory_limit_bytes(), share=_SHARE, reserve_bytes=_RESERVE_BYTES)
    budget = budget_mb << 20 or chosen
    logger.info("memory_budget", extra={"bytes": budget})
    executor = ThreadPoolExecutor(load_threads, thread_name_prefix="model-load", initializer=yield_to_inference)
    return MemoryCache(
        budget,
        executor=executor,
        loads_at_once=load_threads,
        size_of=lambda model: model.resident_bytes,
        close_value=close_model,
    )


def close_model(model: LoadedModel) -> int:
    """Closes a model that nobody uses and returns the bytes by which this process became smaller."""
    before = resident_bytes()
    model.close()
    del model
    return_free_memory()
    after = resident_bytes()
    logger.info("model_unloaded", extra={"resident_before_bytes": before, "resident_after_bytes": after})
    return max(0, before - after)
