"""`POST /invocations`: from a request to its answer. Reads headers and body, has the work done, renders.

Nothing that grows with the body runs on the event loop: large bodies are parsed in a child process, and their answers
rendered in a thread, because `/ping` is answered by the same loop.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from absa_server.absa.pipeline import Pipeline
from absa_server.errors import InvalidRequest
from absa_server.http.body import read_body
from absa_server.http.limits import Limits
from absa_server.http.media_types import default_type, negotiate, request_type
from absa_server.http.offloaded_parsing import OFFLOAD_BYTES, ParserProcess
from absa_server.http.parameters import CUSTOM_ATTRIBUTES
from absa_server.http.rendering import Result, render
from absa_server.http.requests import ParsedRequest, parse_request
from absa_server.serving.service import Service
from absa_server.telemetry.prometheus import Metrics
from absa_server.types import Analysis, Record

_RENDERED_INLINE_CHARS = 100_000


@dataclass(frozen=True, slots=True)
class InvocationOptions:
    """See the settings of the same names."""

    limits: Limits
    max_payload_bytes: int
    default_accept: str | None
    request_timeout_s: float


class Invocations:
    """Lives on one event loop. Close it when the last request is answered."""

    def __init__(self, service: Service, metrics: Metrics, options: InvocationOptions) -> None:
        self._service = service
        self._metrics = metrics
        self._options = options
        self._parser = ParserProcess()
        # One thread: the child process parses one body at a time.
        self._bulk = ThreadPoolExecutor(1, thread_name_prefix="bulk")

    async def answer(self, request: Request) -> Response:
        """The analyses of the request's texts, in the type that its Accept header asks for."""
        content_type = request.headers.get("content-type")
        default = default_type(self._options.default_accept, request_type(content_type))
        media_type = negotiate(request.headers.get("accept"), default)
        with self._service.permit():
            pipeline = self._service.slot.require().pipeline
            body = await read_body(request, max_bytes=self._options.max_payload_bytes)
            parsed = await self._parse(body, content_type, request.headers.get(CUSTOM_ATTRIBUTES))
            results = await self._results(pipeline, parsed)
            content = await self._render(results, parsed, media_type, pipeline)
        return Response(content, media_type=media_type)

    async def _parse(self, body: list[bytes], content_type: str | None, attributes: str | None) -> ParsedRequest:
        limits = self._options.limits
        if sum(map(len, body)) <= OFFLOAD_BYTES:
            whole = b"".join(body)
            return parse_request(whole, content_type=content_type, custom_attributes=attributes, limits=limits)
        parse = partial(
            self._parser.parse,
            body,
            content_type=content_type,
            custom_attributes=attributes,
            limits=limits,
            timeout_s=self._options.request_timeout_s,
        )
        return await asyncio.get_running_loop().run_in_executor(self._bulk, parse)

    async def _results(self, pipeline: Pipeline, parsed: ParsedRequest) -> list[Result]:
        """One result a record, in order: records that could not be read keep their error."""
        readable = [record for record in parsed.records if isinstance(record, Record)]
        analyses = iter(await self._service.predict(pipeline, readable) if readable else ())
        results: list[Result] = [next(analyses) if isinstance(record, Record) else record for record in parsed.records]
        if parsed.shape == "single" and isinstance(results[0], InvalidRequest):
            raise results[0]
        self._count(results)
        return results

    def _count(self, results: Sequence[Result]) -> None:
        analyses = [result for result in results if isinstance(result, Analysis)]
        polarities = [aspect.polarity or "none" for analysis in analyses for aspect in analysis.aspects]
        self._metrics.record_results(texts=len(analyses), errors=len(results) - len(analyses), polarities=polarities)

    async def _render(
        self, results: Sequence[Result], parsed: ParsedRequest, media_type: str, pipeline: Pipeline
    ) -> bytes:
        write = partial(
            render,
            results,
            parsed,
            media_type=media_type,
            text_by_default=pipeline.is_aspect_only,
            repeat_parameters=pipeline.is_aspect_only,
        )
        if sum(len(record.text) for record in parsed.records if isinstance(record, Record)) <= _RENDERED_INLINE_CHARS:
            return write()
        return await asyncio.get_running_loop().run_in_executor(self._bulk, write)

    def close(self) -> None:
        """Ends the child process and the thread."""
        self._bulk.shutdown(wait=True, cancel_futures=True)
        self._parser.close()
