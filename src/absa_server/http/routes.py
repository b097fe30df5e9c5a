"""SageMaker's paths, each with the few lines that make its answer."""

from collections.abc import Callable

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from absa_server.http.execution_parameters import ExecutionParameters
from absa_server.http.invocations import Invocations
from absa_server.http.media_types import JSON
from absa_server.http.schemas import INVOCATIONS_OPENAPI, ErrorSchema, ResultSchema, ResultsSchema
from absa_server.telemetry.prometheus import CONTENT_TYPE, Metrics

INVOCATIONS = "/invocations"


def create_router(
    invocations: Invocations,
    is_ready: Callable[[], bool],
    metrics: Metrics,
    execution_parameters: ExecutionParameters,
) -> APIRouter:
    """The routes of a container: `/ping`, `/invocations`, `/execution-parameters`, `/metrics`.

    `is_ready` tells whether a request could be answered now, and never waits.
    """
    router = APIRouter()

    @router.get("/ping", response_class=Response, summary="Health: 200 when a request could be answered, else 503")
    async def ping() -> Response:
        return Response(status_code=200 if is_ready() else 503)

    @router.post(
        INVOCATIONS,
        response_class=Response,
        summary="Analyse texts",
        responses={200: {"model": ResultSchema | ResultsSchema}, "4XX": {"model": ErrorSchema}},
        openapi_extra=INVOCATIONS_OPENAPI,
    )
    async def invoke(request: Request) -> Response:
        return await invocations.answer(request)

    @router.get("/execution-parameters", response_class=Response, summary="What batch transform should send")
    async def read_execution_parameters() -> Response:
        return Response(orjson.dumps(await execution_parameters.read()), media_type=JSON)

    @router.get("/metrics", response_class=Response, summary="Metrics in Prometheus' text format")
    async def read_metrics() -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return router
