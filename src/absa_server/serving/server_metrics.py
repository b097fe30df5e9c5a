"""What the parts of serving count, as metrics. Knows their figures, not how they come about."""

from collections.abc import Callable

from absa_server.serving.cache_disk import CacheDisk
from absa_server.serving.loading import LoadedModel
from absa_server.serving.model_slot import ModelSlot
from absa_server.serving.registry import Registry
from absa_server.serving.results.bucket import ResultsBucket
from absa_server.serving.service import Service
from absa_server.telemetry.prometheus import Metrics
from model_loader import Loader, MemoryCache
from model_loader.cache_stats import DiskStats, LoaderStats, MemoryStats


def watch_service(metrics: Metrics, service: Service, is_ready: Callable[[], bool]) -> None:
    """Gauges of state that others hold."""
    slot = service.slot
    metrics.watch("absa_model_ready", "1 when a request could be answered, else 0", lambda: float(is_ready()))
    metrics.watch(
        "absa_model_resident_bytes",
        "Bytes of the loaded weights",
        lambda: float(slot.model.resident_bytes if slot.model else 0),
    )
    metrics.watch(
        "absa_model_torch_networks",
        "Networks that run on torch on the CPU; unless ABSA_ENGINE=torch: because they could not be converted",
        lambda: float(sum(name in {"torch", "torch bf16"} for name in slot.model.engines) if slot.model else 0),
    )
    metrics.watch("absa_requests_pending", "Requests waiting or worked on", lambda: float(service.pending_requests))
    if (cache := service.cache) is not None:
        metrics.watch("absa_result_cache_bytes", "Bytes of kept analyses", lambda: float(cache.currsize_bytes))
        metrics.watch_count("absa_result_cache_hits", "Texts answered from kept analyses", lambda: float(cache.hits))
        metrics.watch_count("absa_result_cache_misses", "Texts not found among them", lambda: float(cache.misses))


def watch_results(metrics: Metrics, bucket: ResultsBucket) -> None:
    """Answers that are kept: `absa_results_…`."""
    metrics.watch_count("absa_results_written", "Answers of texts put into S3", lambda: bucket.counts.lines)
    metrics.watch_count("absa_results_dropped", "Answers sent and not kept", lambda: bucket.writer.dropped)
    metrics.watch_count("absa_results_upload_failures", "Uploads that failed", lambda: bucket.counts.failures)
    metrics.watch("absa_results_pending", "Answers in the spool, not yet in S3", lambda: bucket.spool.pending_lines)
    metrics.watch("absa_results_pending_bytes", "Bytes of the spool", lambda: bucket.spool.pending_bytes)


def watch_memory(metrics: Metrics, memory: MemoryCache[LoadedModel]) -> None:
    """Models in memory: `absa_models_…`."""
    stats = memory.stats

    def count(name: str, text: str, read: Callable[[MemoryStats], float]) -> None:
        metrics.watch_count(f"absa_models_{name}", text, lambda: float(read(stats())))

    metrics.watch("absa_models_loaded", "Models in memory", lambda: float(stats().entries))
    metrics.watch("absa_models_leased", "Models that a request uses", lambda: float(stats().leased))
    metrics.watch("absa_models_waiting", "Loads that wait for room", lambda: float(stats().waiting))
    metrics.watch("absa_models_bytes", "Bytes of memory that they count for", lambda: float(stats().used_bytes))
    metrics.watch("absa_models_budget_bytes", "Bytes of memory that they may take", lambda: float(memory.budget_bytes))
    count("hits", "Requests for a model that was in memory", lambda now: now.hits)
    count("shared", "Requests that waited for a load under way", lambda now: now.shared)
    count("misses", "Requests that began a load", lambda now: now.misses)
    count("loads", "Loads that succeeded", lambda now: now.loads)
    count("load_failures", "Loads that failed", lambda now: now.load_failures)
    count("load_seconds", "Seconds spent in loads", lambda now: now.load_seconds)
    count("evictions", "Models evicted for others", lambda now: now.evictions)
    count("evicted_bytes", "Bytes that evicted models counted for", lambda now: now.evicted_bytes)
    count(
        "eviction_age_seconds",
        "Seconds since last use, of all evicted together",
        lambda now: now.age_at_eviction_s,
    )
    count("unload_seconds", "Seconds spent in closing models", lambda now: now.close_seconds)
    count(
        "reclaimed_bytes",
        "Bytes by which this process became smaller in all unloads together",
        lambda now: now.reclaimed_bytes,
    )


def watch_registry(metrics: Metrics, registry: Registry) -> None:
    """What the platform alone decides of models in memory."""
    metrics.watch_count("absa_models_unloads", "Models that the platform unloaded", lambda: float(registry.unloads))


def watch_slot(metrics: Metrics, slot: ModelSlot) -> None:
    """The one model, by the names that several have."""
    metrics.watch("absa_models_loaded", "Models in memory", lambda: float(slot.model is not None))
    metrics.watch_count("absa_models_loads", "Loads that succeeded", lambda: float(slot.loads))
    metrics.watch_count("absa_models_load_seconds", "Seconds spent in loads", lambda: slot.load_seconds)


def watch_disk(metrics: Metrics, disk: CacheDisk) -> None:
    """Artifacts and compiled networks on disk: `absa_disk_cache_…`; all 0 until somebody needs it."""

    def counts() -> DiskStats:
        return disk.opened.counts() if disk.opened is not None else DiskStats()

    def count(name: str, text: str, read: Callable[[DiskStats], float]) -> None:
        metrics.watch_count(f"absa_disk_cache_{name}", text, lambda: float(read(counts())))

    def used() -> float:
        return float(disk.opened.stats().used_bytes) if disk.opened is not None else 0.0

    def budget() -> float:
        return float(disk.opened.budget_bytes or 0) if disk.opened is not None else 0.0

    metrics.watch("absa_disk_cache_bytes", "Bytes of disk that they take", used)
    metrics.watch("absa_disk_cache_budget_bytes", "Bytes of disk that they may take", budget)
    count("hits", "Artifacts and networks found", lambda now: now.hits)
    count("misses", "Artifacts and networks not found", lambda now: now.misses)
    count("fills", "Artifacts fetched and networks made", lambda now: now.fills)
    count("fill_failures", "Of them those that failed", lambda now: now.fill_failures)
    count("fill_seconds", "Seconds spent in them", lambda now: now.fill_seconds)
    count("damaged", "Entries that were not as they had been put there", lambda now: now.damaged)
    count("evictions", "Entries evicted", lambda now: now.evictions)
    count("evicted_bytes", "Bytes of disk that this freed", lambda now: now.evicted_bytes)
    count(
        "eviction_age_seconds",
        "Seconds since last use, of all evicted together",
        lambda now: now.age_at_eviction_s,
    )


def watch_loader(metrics: Metrics, loader: Loader[LoadedModel]) -> None:
    """The way from the store: `absa_store_…`."""

    def count(name: str, text: str, read: Callable[[LoaderStats], float]) -> None:
        metrics.watch_count(f"absa_store_{name}", text, lambda: float(read(loader.stats())))

    count("disk_hits", "Artifacts wanted for a load that lay on disk", lambda now: now.disk_hits)
    count("fetches", "Artifacts fetched from the store", lambda now: now.fetches)
    count("fetched_bytes", "Bytes received for them", lambda now: now.fetched_bytes)
    count("fetch_seconds", "Seconds spent in fetches", lambda now: now.fetch_seconds)
    count("replacements", "New versions that took the place of old ones", lambda now: now.replacements)
    count("refused_replacements", "New versions that did not load", lambda now: now.refused_replacements)
