"""`POST /invocations`: from a request to its answer. Reads headers and body, has the work done, renders.

Nothing that grows with the body runs on the event loop: large bodies are parsed in a child process, and their answers
rendered in a thread, because `/ping` is answered by the same loop.
"""

import asyncio
import math
import sys
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
from absa_server.http.body import check_encoding, ended_by_disconnect, read_body
from absa_server.http.kept_results import KeptResults, Occasion
from absa_server.http.limits import Limits
from absa_server.http.line_batches import Portions, answer_lines, is_endless
from absa_server.http.media_types import default_type, negotiate, negotiate_lines, request_type
from absa_server.http.middleware import inference_id_of, request_id_of
from absa_server.http.offloaded_parsing import OFFLOAD_BYTES, ParserProcess
from absa_server.http.parameters import CUSTOM_ATTRIBUTES, asks_to_stream, parse_custom_attributes
from absa_server.http.rendering import Result, render
from absa_server.http.requests import ParsedRequest, parse_request
from absa_server.http.sagemaker_headers import TARGET_MODEL
from absa_server.http.stage_times import StageTimes
from absa_server.http.streaming import Streaming
from absa_server.http.user_invocations import UserInvocations
from absa_server.serving.service import Service
from absa_server.telemetry.prometheus import Metrics
from absa_server.types import Analysis, Parameters, Record
from absa_server.user_code.loaded import UserCode

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
    user_threads: int = 1

    @property
    def is_unlimited(self) -> bool:
        """Whether a body may be of any size."""
        return self.max_payload_bytes == sys.maxsize


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
        self._streaming = Streaming(service, metrics, kept, stall_s=options.request_timeout_s)
        self._user = UserInvocations(
            service,
            limits=options.limits,
            max_payload_bytes=options.max_payload_bytes,
            default_accept=options.default_accept,
            is_batch=options.is_batch,
            threads=options.user_threads,
        )
        self._parser = ParserProcess()
        # One thread: the child process parses one body at a time. Answers do not wait for bodies.
        self._parse_thread = ThreadPoolExecutor(1, thread_name_prefix="parse")
        self._renderer = ThreadPoolExecutor(1, thread_name_prefix="render")

    async def answer(
        self, request: Request, pipeline: Pipeline | None = None, *, code: UserCode | None = None
    ) -> Response:
        """The analyses of the request's texts by `pipeline`, else the one model, in the type that Accept asks for.

        `code`, else the one model's own, answers instead of the pipeline.
        """
        if pipeline is None and (model := self._service.slot.model) is not None:
            code = model.code
        if code is not None:
            return await self._user.answer(request, code)
        content_type = request.headers.get("content-type")
        default = default_type(
            self._options.default_accept, request_type(content_type), is_batch=self._options.is_batch
        )
        media_type = negotiate(request.headers.get("accept"), default)
        attributes = request.headers.get(CUSTOM_ATTRIBUTES)
        times = StageTimes()
        with self._service.permit():
            pipeline = pipeline or self._service.slot.require().pipeline
            if self._is_endless(request, media_type):
                return await self._answer_lines(request, pipeline, media_type=media_type, times=times)
            async with self._service.deadline():
                body = await read_body(request, max_bytes=self._options.max_payload_bytes)
                times.end("read")
                async with ended_by_disconnect(request):
                    parsed = await self._parse(body, content_type, attributes)
                    times.end("parse")
                    if not self._is_stream(parsed, attributes):
                        results = await self._results(pipeline, parsed)
                        times.end("predict")
                        content = await self._write(results, parsed, media_type, pipeline)
                        times.end("write")
                        if self._kept is not None and not _is_first_half(pipeline, parsed.parameters):
                            await self._kept.keep(results, parsed, _occasion(request, times.total_s, pipeline))
                            times.end("keep")
                        return Response(content, media_type=media_type, headers={"Server-Timing": times.header()})
            # Outside of the deadline, which is not for the time that a reader takes; inside of the permit.
            return await self._streaming.answer(
                request,
                pipeline,
                parsed,
                media_type=negotiate_lines(request.headers.get("accept")),
                times=times,
                occasion=None
                if _is_first_half(pipeline, parsed.parameters)
                else lambda: _occasion(request, times.elapsed_s, pipeline),
            )

    def _is_endless(self, request: Request, media_type: str) -> bool:
        """Whether the body may be larger than what is held of it: a batch transform job's with MaxPayloadInMB 0."""
        return self._options.is_batch and self._options.is_unlimited and is_endless(request, media_type)

    async def _answer_lines(
        self, request: Request, pipeline: Pipeline, *, media_type: str, times: StageTimes
    ) -> Response:
        content_type, attributes = request.headers.get("content-type"), request.headers.get(CUSTOM_ATTRIBUTES)
        check_encoding(request)
        kept = None if _is_first_half(pipeline, parse_custom_attributes(attributes)) else self._kept

        async def parse(lines: list[bytes], first_line: int) -> ParsedRequest:
            self._options.limits.check_records(first_line + len(lines) - 1, path="body")
            return await self._parse([b"\n".join(lines) + b"\n"], content_type, attributes, first_line=first_line)

        async def keep(results: list[Result], parsed: ParsedRequest, before: int) -> None:
            if kept is not None:
                await kept.keep(results, parsed, _occasion(request, times.elapsed_s, pipeline), first=before)

        portions = Portions(
            parse=parse,
            predict=lambda parsed: self._results(pipeline, parsed),
            write=lambda results, parsed: self._write(results, parsed, media_type, pipeline),
            keep=None if kept is None else keep,
        )
        return await answer_lines(
            request,
            portions,
            media_type=media_type,
            times=times,
            stall_s=self._options.request_timeout_s,
            deadline=self._service.deadline,
        )

    def _is_stream(self, parsed: ParsedRequest, attributes: str | None) -> bool:
        """Whether the answer is to be streamed. In batch transform never: nobody reads before the end."""
        if self._options.is_batch:
            return False
        asked = (record.parameters.stream for record in parsed.records if isinstance(record, Record))
        return parsed.parameters.stream or asks_to_stream(attributes) or any(asked)

    async def _parse(
        self, body: list[bytes], content_type: str | None, attributes: str | None, *, first_line: int = 1
    ) -> ParsedRequest:
        limits, is_batch = self._options.limits, self._options.is_batch
        timeout_s = self._options.request_timeout_s
        if sum(map(len, body)) <= OFFLOAD_BYTES:
            whole = b"".join(body)
            return parse_request(
                whole,
                content_type=content_type,
                custom_attributes=attributes,
                limits=limits,
                is_batch=is_batch,
                first_line=first_line,
            )
        parse = partial(
            self._parser.parse,
            body,
            content_type=content_type,
            custom_attributes=attributes,
            limits=limits,
            is_batch=is_batch,
            first_line=first_line,
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


def _is_first_half(pipeline: Pipeline, parameters: Parameters) -> bool:
    """Whether another container goes on with this answer: in a pipeline only the last one keeps it."""
    return pipeline.is_aspect_only and parameters.mode == "chain"


def _occasion(request: Request, seconds: float, pipeline: Pipeline) -> Occasion:
    # Of a multi-model endpoint: its own name for the model, and its caller's.
    asked = {"name": request.path_params.get("name"), "target_model": request.headers.get(TARGET_MODEL)}
    models = dict(pipeline.models) | {key: value for key, value in asked.items() if value}
    return Occasion(
        request_id_of(request.scope), inference_id_of(request.scope), time.time() - seconds, seconds, models
    )
