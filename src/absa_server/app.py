"""The one composition root: settings in, application out. Nothing else reads the settings or knows all the parts."""

import logging.config
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from absa_server.engines.conversion import ConversionLimits
from absa_server.engines.cores import available_cores
from absa_server.engines.factory import EngineChoice
from absa_server.http.error_handlers import add_error_handlers
from absa_server.http.invocations import InvocationOptions, Invocations
from absa_server.http.kept_results import KeptResults
from absa_server.http.limits import Limits
from absa_server.http.middleware import RequestMiddleware
from absa_server.http.model_routes import create_model_router
from absa_server.http.routes import create_router
from absa_server.serving.answer_cache import AnswerCache
from absa_server.serving.cache_disk import CacheDisk
from absa_server.serving.cache_metrics import watch_disk, watch_loader, watch_memory
from absa_server.serving.engine_cache import EngineCache
from absa_server.serving.footprints import predicted_footprint
from absa_server.serving.loading import EngineOptions, load_model
from absa_server.serving.model_memory import create_model_memory, yield_to_inference
from absa_server.serving.model_names import ModelNames, names_file_of_this_server
from absa_server.serving.model_slot import ModelSlot
from absa_server.serving.model_store import ModelStore
from absa_server.serving.registry import Registry
from absa_server.serving.results.bucket import ResultsBucket
from absa_server.serving.service import Service, ServiceLimits
from absa_server.settings import ConfigurationError, Settings, read_settings
from absa_server.telemetry.batching import BatchMetrics
from absa_server.telemetry.logs import logging_config
from absa_server.telemetry.prometheus import Metrics
from model_loader import DiskCache, Loader
from model_loader.loader import LoaderOptions
from model_loader.stores import open_store

# Threads that ask the store and fetch, most of them waiting. Higher: more silent requests before others wait for them.
_STORE_THREADS = 32


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application. The model begins to load when the server has started, beside the event loop."""
    settings = settings or read_settings()
    logging.config.dictConfig(logging_config(settings.log_level))
    metrics = Metrics()
    disk = CacheDisk(settings.cache_dir, budget_mb=settings.disk_budget_mb)
    engine = _engine(settings, disk)
    has_one_model = not settings.multi_model and settings.model_store is None
    slot = ModelSlot(partial(load_model, settings.model_dir, engine) if has_one_model else None)
    service = Service(slot, _service_limits(settings), cache=_cache(settings), metrics=BatchMetrics(metrics))
    bucket = _results_bucket(settings)
    kept = KeptResults(bucket.writer, with_text=settings.results_input == "text") if bucket else None
    store = _store(settings, settings.model_store, engine, disk) if settings.model_store is not None else None
    invocations = Invocations(service, metrics, _invocation_options(settings), kept=kept, store=store)
    registry = _registry(settings, engine) if settings.multi_model else None
    is_ready = partial(_is_ready, slot, store)
    _watch(metrics, service, is_ready)
    watch_disk(metrics, disk)
    if store is not None:
        watch_memory(metrics, store.loader.memory)
        watch_loader(metrics, store.loader)
    if bucket is not None:
        _watch_results(metrics, bucket)
    if registry is not None:
        watch_memory(metrics, registry.memory)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        slot.start()
        if store is not None:
            store.start()
        yield
        service.close()
        invocations.close()
        if bucket is not None:
            bucket.close()
        if registry is not None:
            registry.close()
        if store is not None:
            await store.close()

    app = FastAPI(title="absa-server", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.include_router(
        create_router(
            invocations,
            is_ready,
            metrics,
            max_payload_mb=settings.max_payload_bytes // (1024 * 1024),
            streams=_streams(settings),
        )
    )
    if registry is not None:
        app.include_router(create_model_router(registry, invocations))
    add_error_handlers(app)
    app.add_middleware(RequestMiddleware, metrics=metrics)
    return app


def _is_ready(slot: ModelSlot, store: ModelStore | None) -> bool:
    return slot.is_ready if store is None else store.is_ready


def _store(settings: Settings, uri: str, engine: EngineOptions, disk: CacheDisk) -> ModelStore:
    loader = Loader(
        # botocore does not read AWS_REGION, which the platform sets.
        open_store(uri, region=os.environ.get("AWS_REGION")),
        _opened(disk),
        create_model_memory(settings.memory_budget_mb, settings.load_threads),
        load=partial(load_model, options=engine, is_hashed=False),
        footprint_of=partial(predicted_footprint, precision=settings.precision),
        executor=ThreadPoolExecutor(_STORE_THREADS, thread_name_prefix="store", initializer=yield_to_inference),
        options=LoaderOptions(ttl_s=settings.model_ttl_s),
    )
    return ModelStore(loader, default=settings.default_model)


def _opened(disk: CacheDisk) -> DiskCache:
    try:
        return disk.open()
    except OSError as error:
        raise ConfigurationError(
            f"ABSA_CACHE_DIR={str(disk.root)!r}: models of the store have to be kept there ({error})"
        ) from error


def _registry(settings: Settings, engine: EngineOptions) -> Registry:
    memory = create_model_memory(settings.memory_budget_mb, settings.load_threads)
    load = partial(load_model, options=engine)
    footprint_of = partial(predicted_footprint, precision=settings.precision)
    return Registry(memory, load, ModelNames(names_file_of_this_server()), footprint_of=footprint_of)


def _streams(settings: Settings) -> int:
    return settings.inference_threads or available_cores()


def _cache(settings: Settings) -> AnswerCache | None:
    return AnswerCache(settings.result_cache_mb * 1024 * 1024) if settings.result_cache_mb else None


def _engine(settings: Settings, disk: CacheDisk) -> EngineOptions:
    # Passes side by side share the cores: when together they have more threads than there are cores, they wait for each
    # other, spinning (measured on two busy cores, one text at a time: 22 texts/s with 2 x 2 threads, 33 with 2 x 1).
    threads = settings.engine_threads or max(1, available_cores() // _streams(settings))
    choice = EngineChoice(
        name=settings.engine,
        precision=settings.precision,
        streams=_streams(settings),
        threads=threads,
        limits=ConversionLimits(settings.compile_memory_mb, settings.compile_timeout_s),
        cache=EngineCache(disk),
    )
    return EngineOptions(choice, settings.batch_tokens, settings.max_aspects, settings.self_test)


def _results_bucket(settings: Settings) -> ResultsBucket | None:
    if settings.results_s3_uri is None:
        return None
    return ResultsBucket(
        settings.results_s3_uri,
        settings.results_spool_dir,
        spool_bytes=settings.results_spool_mb << 20,
        is_required=settings.results_required,
    )


def _service_limits(settings: Settings) -> ServiceLimits:
    return ServiceLimits(_streams(settings), settings.max_pending_requests, settings.deadline_s)


def _invocation_options(settings: Settings) -> InvocationOptions:
    return InvocationOptions(
        Limits(settings.record_limit, settings.max_text_chars, settings.max_aspects),
        settings.max_payload_bytes,
        settings.default_accept,
        settings.deadline_s,
        is_batch=settings.is_batch,
    )


def _watch(metrics: Metrics, service: Service, is_ready: Callable[[], bool]) -> None:
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
        "Networks of the loaded model that run on torch; unless ABSA_ENGINE=torch: because they could not be converted",
        lambda: float(slot.model.engines.count("torch") if slot.model else 0),
    )
    metrics.watch("absa_requests_pending", "Requests waiting or worked on", lambda: float(service.pending_requests))
    if (cache := service.cache) is not None:
        metrics.watch("absa_result_cache_bytes", "Bytes of kept analyses", lambda: float(cache.currsize_bytes))
        metrics.watch_count("absa_result_cache_hits", "Texts answered from kept analyses", lambda: float(cache.hits))
        metrics.watch_count("absa_result_cache_misses", "Texts not found among them", lambda: float(cache.misses))


def _watch_results(metrics: Metrics, bucket: ResultsBucket) -> None:
    metrics.watch_count("absa_results_written", "Answers of texts put into S3", lambda: bucket.counts.lines)
    metrics.watch_count("absa_results_dropped", "Answers sent and not kept", lambda: bucket.writer.dropped)
    metrics.watch_count("absa_results_upload_failures", "Uploads that failed", lambda: bucket.counts.failures)
    metrics.watch("absa_results_pending", "Answers in the spool, not yet in S3", lambda: bucket.spool.pending_lines)
    metrics.watch("absa_results_pending_bytes", "Bytes of the spool", lambda: bucket.spool.pending_bytes)
