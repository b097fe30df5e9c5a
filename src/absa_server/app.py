"""The one composition root: settings in, application out."""

import logging.config
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from absa_server.assembly import assemble
from absa_server.engines.factory import load_engine
from absa_server.http.direct_route import DirectRoute
from absa_server.http.error_handlers import add_error_handlers
from absa_server.http.execution_parameters import ExecutionParameters
from absa_server.http.middleware import RequestMiddleware
from absa_server.http.model_routes import create_model_router
from absa_server.http.routes import INVOCATIONS, create_router
from absa_server.serving.loading import LoadEngine
from absa_server.settings import Settings, read_settings
from absa_server.telemetry.logs import logging_config


def create_app(settings: Settings | None = None, *, load_engine: LoadEngine = load_engine) -> FastAPI:
    """The ASGI application. The model begins to load when the server has started, beside the event loop.

    `load_engine` makes the engine of each network: with one that answers at once, all the rest is measured.
    """
    settings = settings or read_settings()
    logging.config.dictConfig(logging_config(settings.log_level))
    parts = assemble(settings, load_engine)
    execution_parameters = ExecutionParameters(
        parts.service, max_payload_mb=settings.max_payload_bytes // (1024 * 1024), streams=parts.service.streams
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        parts.start()
        yield
        await parts.close()

    app = FastAPI(title="absa-server", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.include_router(create_router(parts.invocations, parts.is_ready, parts.metrics, execution_parameters))
    if parts.registry is not None:
        app.include_router(create_model_router(parts.registry, parts.invocations))
    add_error_handlers(app)
    app.add_middleware(DirectRoute, path=INVOCATIONS, answer=parts.invocations.answer)  # inside of the next
    app.add_middleware(RequestMiddleware, metrics=parts.metrics)
    return app
