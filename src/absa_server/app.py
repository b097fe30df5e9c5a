"""The one composition root: settings in, application out. Nothing else reads the settings or knows all the parts."""

import logging.config
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from absa_server.engines.cores import available_cores
from absa_server.http.error_handlers import add_error_handlers
from absa_server.http.invocations import InvocationOptions, Invocations
from absa_server.http.limits import Limits
from absa_server.http.middleware import RequestMiddleware
from absa_server.http.routes import create_router
from absa_server.serving.answer_cache import AnswerCache
from absa_server.serving.loading import EngineOptions, load_model
from absa_server.serving.model_slot import ModelSlot
from absa_server.serving.service import Service, ServiceLimits
from absa_server.settings import Settings, read_settings
from absa_server.telemetry.batching import BatchMetrics
from absa_server.telemetry.logs import logging_config
from absa_server.telemetry.prometheus import Metrics


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application. The model begins to load when the server has started, beside the event loop."""
    settings = settings or read_settings()
    logging.config.dictConfig(logging_config(settings.log_level))
    metrics = Metrics()
    slot = ModelSlot(None if settings.multi_model else partial(load_model, settings.model_dir, _engine(settings)))
    service = Service(slot, _service_limits(settings), cache=_cache(settings), metrics=BatchMetrics(metrics))
    invocations = Invocations(service, metrics, _invocation_options(settings))
    _watch(metrics, service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        slot.start()
        yield
        service.close()
        invocations.close()

    app = FastAPI(title="absa-server", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.include_router(
        create_router(
            invocations,
            slot,
            metrics,
            max_payload_mb=settings.max_payload_mb,
            streams=_streams(settings),
        )
    )
    add_error_handlers(app)
    app.add_middleware(RequestMiddleware, metrics=metrics)
    return app


def _streams(settings: Settings) -> int:
    return settings.inference_threads or available_cores()


def _cache(settings: Settings) -> AnswerCache | None:
    return AnswerCache(settings.result_cache_mb * 1024 * 1024) if settings.result_cache_mb else None


def _engine(settings: Settings) -> EngineOptions:
    # Passes side by side share the cores: when together they have more threads than there are cores, they wait for each
    # other, spinning (measured on two busy cores, one text at a time: 22 texts/s with 2 x 2 threads, 33 with 2 x 1).
    threads = settings.engine_threads or max(1, available_cores() // _streams(settings))
    return EngineOptions(settings.engine, threads, settings.batch_tokens, settings.max_aspects)


def _service_limits(settings: Settings) -> ServiceLimits:
    return ServiceLimits(_streams(settings), settings.max_pending_requests, settings.request_timeout_s)


def _invocation_options(settings: Settings) -> InvocationOptions:
    limits = Limits(settings.max_records, settings.max_text_chars, settings.max_aspects)
    return InvocationOptions(limits, settings.max_payload_bytes, settings.default_accept, settings.request_timeout_s)


def _watch(metrics: Metrics, service: Service) -> None:
    """Gauges of state that others hold."""
    slot = service.slot
    metrics.watch("absa_model_ready", "1 when a request could be answered, else 0", lambda: float(slot.is_ready))
    metrics.watch(
        "absa_model_resident_bytes",
        "Bytes of the loaded weights",
        lambda: float(slot.model.resident_bytes if slot.model else 0),
    )
    metrics.watch("absa_requests_pending", "Requests waiting or worked on", lambda: float(service.pending_requests))
    if (cache := service.cache) is not None:
        metrics.watch("absa_result_cache_bytes", "Bytes of kept analyses", lambda: float(cache.currsize_bytes))
        metrics.watch_count("absa_result_cache_hits", "Texts answered from kept analyses", lambda: float(cache.hits))
        metrics.watch_count("absa_result_cache_misses", "Texts not found among them", lambda: float(cache.misses))
