"""SageMaker's paths, each with the few lines that make its answer."""

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from absa_server.http.invocations import Invocations
from absa_server.http.media_types import JSON
from absa_server.http.schemas import INVOCATIONS_OPENAPI, ErrorSchema, ResultSchema, ResultsSchema
from absa_server.serving.model_slot import ModelSlot
from absa_server.telemetry.prometheus import CONTENT_TYPE, Metrics

INVOCATIONS = "/invocations"
# CreateTransformJob allows this many MB in all requests under way on one instance together.
_TRANSFORM_TOTAL_MB = 100
_TRANSFORM_DEFAULT_MB = 6


def create_router(
    invocations: Invocations, slot: ModelSlot, metrics: Metrics, *, max_payload_mb: int, streams: int
) -> APIRouter:
    """The routes of a container: `/ping`, `/invocations`, `/execution-parameters`, `/metrics`."""
    router = APIRouter()
    execution_parameters = transform_parameters(max_payload_mb, streams)

    @router.get("/ping", response_class=Response, summary="Health: 200 when a request could be answered, else 503")
    async def ping() -> Response:
        return Response(status_code=200 if slot.is_ready else 503)

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
        return Response(orjson.dumps(execution_parameters), media_type=JSON)

    @router.get("/metrics", response_class=Response, summary="Metrics in Prometheus' text format")
    async def read_metrics() -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return router


def transform_parameters(max_payload_mb: int, concurrent: int) -> dict[str, object]:
    """What batch transform asks for before it starts; its own names and limits."""
    size_mb = max(1, min(_TRANSFORM_DEFAULT_MB, max_payload_mb, _TRANSFORM_TOTAL_MB // concurrent))
    return {"MaxConcurrentTransforms": concurrent, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": size_mb}
