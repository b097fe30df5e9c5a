"""`POST /invocations`: from a request to its answer. Reads headers and body, has the work done, renders.

Nothing that grows with the body runs on the event loop: large bodies are parsed in a child process, and their answers
rendered in a thread, because `/ping` is answered by the same loop.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from absa_server.absa.pipeline import Pipeline
from absa_server.errors import InvalidRequest
from absa_server.http.body import EndedByDisconnect, read_body
from absa_server.http.kept_results import KeptResults, Occasion
from absa_server.http.limits import Limits
from absa_server.http.media_types import default_type, negotiate, request_type
from absa_server.http.middleware import inference_id_of, request_id_of
from absa_server.http.offloaded_parsing import OFFLOAD_BYTES, ParserProcess
from absa_server.http.parameters import CUSTOM_ATTRIBUTES
from absa_server.http.rendering import Result, render
from absa_server.http.requests import ParsedRequest, parse_request
from absa_server.http.stage_times import StageTimes
from absa_server.serving.service import Service
from absa_server.telemetry.prometheus import Metrics
from absa_server.types import Analysis, Record

# Answers up to this size are written on the event loop, in about a millisecond; the way to a thread costs a tenth.
_INLINE_CHARS = 100_000
_INLINE_ASPECTS = 500


@dataclass(frozen=True, slots=True)
class InvocationOptions:
    """See the settings of the same names."""

    limits: Limits
    max_payload_bytes: int
    default_accept: str | None
    request_timeout_s: float
    is_batch: bool = False


class Invocations:
    """Lives on one event loop. Close it when the last request is answered."""

    def __init__(
        self, service: Service, metrics: Metrics, options: InvocationOptions, *, kept: KeptResults | None = None
    ) -> None:
        """`kept`: where every answer is kept before it is sent; None keeps nothing."""
        self._kept = kept
        self._service = service
        self._metrics = metrics
        self._options = options
        self._parser = ParserProcess()
        # One thread: the child process parses one body at a time. Answers do not wait for bodies.
        self._parse_thread = ThreadPoolExecutor(1, thread_name_prefix="parse")
        self._renderer = ThreadPoolExecutor(1, thread_name_prefix="render")

    async def answer(self, request: Request, pipeline: Pipeline | None = None) -> Response:
        """The analyses of the request's texts by `pipeline`, else the one model, in the type that Accept asks for."""
        content_type = request.headers.get("content-type")
        default = default_type(self._options.default_accept, request_type(content_type))
        media_type = negotiate(request.headers.get("accept"), default)
        times = StageTimes()
        with self._service.permit():
            pipeline = pipeline or self._service.slot.require().pipeline
            async with self._service.deadline():
                body = await read_body(request, max_bytes=self._options.max_payload_bytes)
                times.end("read")
                async with EndedByDisconnect(request):
                    parsed = await self._parse(body, content_type, request.headers.get(CUSTOM_ATTRIBUTES))
                    times.end("parse")
                    results = await self._results(pipeline, parsed)
                    times.end("predict")
                    content = await self._write(results, parsed, media_type, pipeline)
                    times.end("write")
                    if self._kept is not None and not _is_first_half(pipeline, parsed):
                        await self._kept.keep(results, parsed, _occasion(request, times))
                        times.end("keep")
        return Response(content, media_type=media_type, headers={"Server-Timing": times.header()})

    async def _parse(self, body: list[bytes], content_type: str | None, attributes: str | None) -> ParsedRequest:
        limits, is_batch = self._options.limits, self._options.is_batch
        timeout_s = self._options.request_timeout_s
        if sum(map(len, body)) <= OFFLOAD_BYTES:
            whole = b"".join(body)
            return parse_request(
                whole, content_type=content_type, custom_attributes=attributes, limits=limits, is_batch=is_batch
            )
        parse = partial(
            self._parser.parse,
            body,
            content_type=content_type,
            custom_attributes=attributes,
            limits=limits,
            is_batch=is_batch,
            timeout_s=None if math.isinf(timeout_s) else timeout_s,
        )
        return await asyncio.get_running_loop().run_in_executor(self._parse_thread, parse)

    async def _results(self, pipeline: Pipeline, parsed: ParsedRequest) -> list[Result]:
        """One result a record, in order: records that could not be read keep their error."""
        readable = [record for record in parsed.records if isinstance(record, Record)]
        analyses = iter(await self._service.predict(pipeline, readable) if readable else ())
        results: list[Result] = [next(analyses) if isinstance(record, Record) else record for record in parsed.records]
        if parsed.shape == "single" and isinstance(results[0], InvalidRequest) and not self._options.is_batch:
            raise results[0]
        return results

    async def _write(
        self, results: Sequence[Result], parsed: ParsedRequest, media_type: str, pipeline: Pipeline
    ) -> bytes:
        """The answer's body, counted in the metrics; in a thread when it is large."""
        analyses = [result for result in results if isinstance(result, Analysis)]
        aspects = sum(len(analysis.aspects) for analysis in analyses)
        chars = sum(len(record.text) for record in parsed.records if isinstance(record, Record))
        render_all = partial(
            render,
            results,
            parsed,
            media_type=media_type,
            text_by_default=pipeline.is_aspect_only,
            repeat_parameters=pipeline.is_aspect_only,
        )
        count_all = partial(self._count, analyses, errors=len(results) - len(analyses))
        if aspects <= _INLINE_ASPECTS and chars <= _INLINE_CHARS:
            count_all()
            return render_all()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._renderer, count_all)
        return await loop.run_in_executor(self._renderer, render_all)

    def _count(self, analyses: Sequence[Analysis], *, errors: int) -> None:
        polarities = Counter(aspect.polarity or "none" for analysis in analyses for aspect in analysis.aspects)
        self._metrics.record_results(texts=len(analyses), errors=errors, polarities=polarities)

    def close(self) -> None:
        """Ends the child process and the threads."""
        self._parser.close()  # ends a body in work, too
        self._parse_thread.shutdown(wait=True, cancel_futures=True)
        self._renderer.shutdown(wait=True, cancel_futures=True)


def _is_first_half(pipeline: Pipeline, parsed: ParsedRequest) -> bool:
    """Whether another container goes on with this answer: in a pipeline only the last one keeps it."""
    return pipeline.is_aspect_only and parsed.parameters.mode == "chain"


def _occasion(request: Request, times: StageTimes) -> Occasion:
    seconds = times.total_s
    return Occasion(
        request_id_of(request.scope), inference_id_of(request.scope), time.time() - seconds, seconds, models={}
    )
