"""The parts of the server, made from the settings, and the order in which they start and end. Knows no routes."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from absa_server.absa.pipeline import Pipeline
from absa_server.engines.conversion import ConversionLimits
from absa_server.engines.cores import available_cores
from absa_server.engines.factory import EngineChoice
from absa_server.engines.factory import prepare as prepare_engine
from absa_server.engines.gpu import GPU_STREAMS, gpu_memory_bytes, has_gpu
from absa_server.http.invocations import InvocationOptions, Invocations
from absa_server.http.kept_results import KeptResults
from absa_server.http.limits import Limits
from absa_server.http.user_model import PipelineModel
from absa_server.serving.answer_cache import AnswerCache
from absa_server.serving.cache_disk import CacheDisk
from absa_server.serving.courtesy import Courtesy
from absa_server.serving.engine_cache import EngineCache
from absa_server.serving.footprints import predicted_footprint
from absa_server.serving.loading import EngineOptions, LoadedModel, LoadEngine, load_model
from absa_server.serving.model_memory import create_model_memory
from absa_server.serving.model_names import ModelNames, names_file_of_this_server
from absa_server.serving.model_slot import ModelSlot
from absa_server.serving.model_store import ModelStore
from absa_server.serving.priorities import yield_to_event_loop
from absa_server.serving.registry import Registry
from absa_server.serving.results.bucket import ResultsBucket
from absa_server.serving.server_metrics import (
    watch_disk,
    watch_loader,
    watch_memory,
    watch_registry,
    watch_results,
    watch_service,
    watch_slot,
)
from absa_server.serving.service import Service, ServiceLimits
from absa_server.settings import ConfigurationError, Settings, parse_dimensions
from absa_server.telemetry.batching import BatchMetrics
from absa_server.telemetry.emf import EmfFormat
from absa_server.telemetry.emf_reporter import EmfReporter
from absa_server.telemetry.prometheus import Metrics
from model_loader import DiskCache, Footprint, Loader
from model_loader.loader import LoaderOptions
from model_loader.stores import open_store

# Threads that ask the store and fetch, most of them waiting. Higher: more silent requests before others wait for them.
_STORE_THREADS = 32

Load = Callable[..., LoadedModel]


@dataclass(frozen=True, slots=True)
class Parts:
    """All that lives as long as the server. One of `slot`, `registry` and `store` holds the models.

    `prepare` is run in a thread at the start, where no model is loaded then that would do the same.
    """

    metrics: Metrics
    slot: ModelSlot
    service: Service
    invocations: Invocations
    registry: Registry | None
    store: ModelStore | None
    bucket: ResultsBucket | None
    emf: EmfReporter | None
    prepare: Callable[[], None] | None

    def is_ready(self) -> bool:
        """Whether a request, or the load of a model, could be answered now; never waits."""
        return self.slot.is_ready if self.store is None else self.store.is_ready

    def start(self) -> None:
        """Begins to load and to report; returns at once."""
        if self.prepare is not None:
            # No daemon: a process that ends meanwhile waits for it, rather than end inside of native code.
            threading.Thread(target=self.prepare, name="prepare-engine").start()
        self.slot.start()
        if self.store is not None:
            self.store.start()
        if self.emf is not None:
            self.emf.start()

    async def close(self) -> None:
        """Ends all, in the order in which they use each other; the last request must have been answered."""
        self.service.close()
        self.invocations.close()
        if self.bucket is not None:
            self.bucket.close()
        if self.registry is not None:
            self.registry.close()
        if self.store is not None:
            await self.store.close()
        if self.emf is not None:
            self.emf.close()  # the last: what was written while the others closed is in its lines


def assemble(settings: Settings, load_engine: LoadEngine) -> Parts:
    """All parts, none of them started; `load_engine` makes the engine of each network. Raises `ConfigurationError`."""
    metrics = Metrics(model_limit=settings.metrics_models)
    disk = CacheDisk(settings.cache_dir, budget_mb=settings.disk_budget_mb)
    load = partial(load_model, options=_engine_options(settings, disk, load_engine))

    def as_callable(pipeline: Pipeline) -> Callable[..., object]:
        """What an artifact's own code is given of its models."""
        return PipelineModel(pipeline, _limits(settings), service.predict_in_thread)

    load_with_code = partial(load, as_callable=as_callable if settings.user_code else None)
    courtesy = Courtesy(lambda: service.is_busy)
    has_one_model = not settings.multi_model and settings.model_store is None
    slot = ModelSlot(partial(load_with_code, settings.model_dir) if has_one_model else None)
    service = Service(
        slot, _service_limits(settings), cache=_create_answer_cache(settings), metrics=BatchMetrics(metrics)
    )
    bucket = _create_results_bucket(settings)
    kept = KeptResults(bucket.writer, with_text=settings.results_input == "text") if bucket else None
    store = (
        _create_store(settings, settings.model_store, partial(load, courtesy=courtesy), disk)
        if settings.model_store is not None
        else None
    )
    invocations = Invocations(service, metrics, _invocation_options(settings), kept=kept, store=store)
    registry = _create_registry(settings, partial(load_with_code, courtesy=courtesy)) if settings.multi_model else None
    emf = _create_emf_reporter(settings, metrics)
    prepare = None if has_one_model else partial(prepare_engine, _engine_options(settings, disk, load_engine).choice)
    parts = Parts(metrics, slot, service, invocations, registry, store, bucket, emf, prepare)
    _watch(parts, disk)
    if _wants_gpu(settings):
        metrics.watch("absa_gpu_memory_bytes", "Bytes of GPU memory that this process keeps", gpu_memory_bytes)
    return parts


def _watch(parts: Parts, disk: CacheDisk) -> None:
    metrics = parts.metrics
    watch_service(metrics, parts.service, parts.is_ready)
    watch_disk(metrics, disk)
    if parts.bucket is not None:
        watch_results(metrics, parts.bucket)
    if parts.store is not None:
        watch_memory(metrics, parts.store.loader.memory)
        watch_loader(metrics, parts.store.loader)
    elif parts.registry is not None:
        watch_memory(metrics, parts.registry.memory)
        watch_registry(metrics, parts.registry)
    else:
        watch_slot(metrics, parts.slot)


def _create_store(settings: Settings, uri: str, load: Load, disk: CacheDisk) -> ModelStore:
    loader = Loader(
        # botocore does not read AWS_REGION, which the platform sets.
        open_store(uri, region=os.environ.get("AWS_REGION")),
        _opened(disk),
        create_model_memory(settings.memory_budget_mb, settings.load_threads),
        load=partial(load, is_hashed=False),
        footprint_of=_footprint_of(settings),
        executor=ThreadPoolExecutor(_STORE_THREADS, thread_name_prefix="store", initializer=yield_to_event_loop),
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


def _create_registry(settings: Settings, load: Load) -> Registry:
    memory = create_model_memory(settings.memory_budget_mb, settings.load_threads)
    return Registry(memory, load, ModelNames(names_file_of_this_server()), footprint_of=_footprint_of(settings))


def _footprint_of(settings: Settings) -> Callable[[Path], Footprint]:
    return partial(predicted_footprint, precision=settings.precision)


def _streams(settings: Settings) -> int:
    cores = available_cores()
    return settings.inference_threads or (min(GPU_STREAMS, cores) if _wants_gpu(settings) else cores)


def _wants_gpu(settings: Settings) -> bool:
    return settings.engine != "openvino" and settings.precision != "int8" and has_gpu()


def _create_answer_cache(settings: Settings) -> AnswerCache | None:
    return AnswerCache(settings.result_cache_mb * 1024 * 1024) if settings.result_cache_mb else None


def _engine_options(settings: Settings, disk: CacheDisk, load_engine: LoadEngine) -> EngineOptions:
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
        has_gpu=_wants_gpu(settings),
    )
    return EngineOptions(choice, settings.batch_tokens, settings.max_aspects, settings.self_test, load_engine)


def _create_results_bucket(settings: Settings) -> ResultsBucket | None:
    if settings.results_s3_uri is None:
        return None
    return ResultsBucket(
        settings.results_s3_uri,
        settings.results_spool_dir,
        spool_bytes=settings.results_spool_mb << 20,
        is_required=settings.results_required,
    )


def _create_emf_reporter(settings: Settings, metrics: Metrics) -> EmfReporter | None:
    if not settings.emf_interval_s:
        return None
    emf = EmfFormat(settings.emf_namespace, parse_dimensions(settings.emf_dimensions))
    return EmfReporter(metrics.registry, emf, interval_s=settings.emf_interval_s)


def _service_limits(settings: Settings) -> ServiceLimits:
    return ServiceLimits(_streams(settings), settings.max_pending_requests, settings.deadline_s)


def _invocation_options(settings: Settings) -> InvocationOptions:
    return InvocationOptions(
        _limits(settings),
        settings.max_payload_bytes,
        settings.default_accept,
        settings.deadline_s,
        is_batch=settings.is_batch,
        user_threads=_streams(settings),
    )


def _limits(settings: Settings) -> Limits:
    return Limits(settings.record_limit, settings.max_text_chars, settings.max_aspects)
