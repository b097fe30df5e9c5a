"""`POST /invocations`: from a request to its answer. Reads headers and body, has the work done, renders.

Nothing that grows with the body runs on the event loop: large bodies are parsed in a child process, and their answers
rendered in a thread, because `/ping` is answered by the same loop.
"""

import asyncio
import math
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from absa_server.errors import InvalidRequest
from absa_server.http.body import EndedByDisconnect, check_encoding, read_body
from absa_server.http.kept_results import KeptResults, is_first_half, occasion_of
from absa_server.http.limits import Limits
from absa_server.http.line_batches import Portions, answer_lines, is_endless
from absa_server.http.media_types import default_type, negotiate, negotiate_lines, request_type
from absa_server.http.model_choice import read_choice, refuse_choice
from absa_server.http.offloaded_parsing import OFFLOAD_BYTES, ParserProcess
from absa_server.http.parameters import CUSTOM_ATTRIBUTES, asks_to_stream, parse_custom_attributes
from absa_server.http.rendering import Result, render
from absa_server.http.requests import ParsedRequest, parse_request
from absa_server.http.sagemaker_headers import TARGET_MODEL
from absa_server.http.stage_times import StageTimes
from absa_server.http.streaming import Streaming
from absa_server.http.user_invocations import UserInvocations
from absa_server.serving.model_store import ModelStore
from absa_server.serving.served_model import ServedModel
from absa_server.serving.service import Deadline, Service
from absa_server.telemetry.prometheus import Metrics
from absa_server.types import Analysis, Parameters, Record

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
        self,
        service: Service,
        metrics: Metrics,
        options: InvocationOptions,
        *,
        kept: KeptResults | None = None,
        store: ModelStore | None = None,
    ) -> None:
        """`kept`: where every answer is kept before it is sent; None keeps nothing.

        `store`: what requests choose their model from; None: they cannot.
        """
        self._kept = kept
        self._store = store
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

    async def answer(self, request: Request, served: ServedModel | None = None) -> Response:
        """The analyses of the request's texts, in the type that Accept asks for, or streamed where it asks for that.

        By `served`, else by the model of the store that the request names, else by the one model. A model's own code,
        where it brings some, answers instead of its pipeline.
        """
        code = served.code if served is not None else self._service.slot.code
        if code is not None:
            return await self._user.answer(request, code)
        media_type = self._answer_type(request)
        attributes = request.headers.get(CUSTOM_ATTRIBUTES)
        times = StageTimes()
        with self._service.permit():
            if self._store is None:
                served = served or self._service.slot.serve()
            if self._is_endless(request, media_type):
                return await self._answer_lines(request, served, media_type=media_type, times=times)
            async with AsyncExitStack() as leases:
                async with self._service.deadline() as deadline:
                    body = await read_body(request, max_bytes=self._options.max_payload_bytes)
                    times.end("read")
                    async with EndedByDisconnect(request):
                        parsed = await self._parse(body, request.headers.get("content-type"), attributes)
                        times.end("parse")
                        model = await leases.enter_async_context(
                            self._model(request, parsed.parameters, served, deadline)
                        )
                        times.answered_by(model.models, is_loaded=served is None)
                        if not self._is_stream(parsed, attributes):
                            return await self._answer_at_once(request, model, parsed, media_type, times)
                # Outside of the deadline, which is not for the time that a reader takes; inside of permit and lease.
                return await self._stream(request, model, parsed, times)

    def _answer_type(self, request: Request) -> str:
        default = default_type(
            self._options.default_accept,
            request_type(request.headers.get("content-type")),
            is_batch=self._options.is_batch,
        )
        return negotiate(request.headers.get("accept"), default)

    @asynccontextmanager
    async def _model(
        self, request: Request, parameters: Parameters, served: ServedModel | None, deadline: Deadline
    ) -> AsyncIterator[ServedModel]:
        """`served`, or what the request names in the store, not closed meanwhile."""
        if served is not None or self._store is None:
            refuse_choice(parameters)
            yield served or self._service.slot.serve()
            return
        choice = read_choice(parameters, request.headers.get(TARGET_MODEL))
        deadline.advice = "its model was still being loaded, or waited for room; ask again"
        async with self._store.use(choice) as model:
            deadline.advice = None
            yield model

    async def _answer_at_once(
        self, request: Request, model: ServedModel, parsed: ParsedRequest, media_type: str, times: StageTimes
    ) -> Response:
        results = await self._results(model, parsed)
        times.end("predict")
        content = await self._write(results, parsed, media_type, model)
        times.end("write")
        if self._kept is not None and not is_first_half(model.pipeline, parsed.parameters):
            await self._kept.keep(results, parsed, occasion_of(request, times.total_s, model))
            times.end("keep")
        return Response(content, media_type=media_type, headers={"Server-Timing": times.header()})

    async def _stream(self, request: Request, model: ServedModel, parsed: ParsedRequest, times: StageTimes) -> Response:
        is_kept = not is_first_half(model.pipeline, parsed.parameters)
        return await self._streaming.answer(
            request,
            model,
            parsed,
            media_type=negotiate_lines(request.headers.get("accept")),
            times=times,
            occasion=(lambda: occasion_of(request, times.elapsed_s, model)) if is_kept else None,
        )

    def _is_endless(self, request: Request, media_type: str) -> bool:
        """Whether the body may be larger than what is held of it: a batch transform job's with MaxPayloadInMB 0."""
        return self._options.is_batch and self._options.is_unlimited and is_endless(request, media_type)

    async def _answer_lines(
        self, request: Request, served: ServedModel | None, *, media_type: str, times: StageTimes
    ) -> Response:
        content_type, attributes = request.headers.get("content-type"), request.headers.get(CUSTOM_ATTRIBUTES)
        check_encoding(request)
        parameters = parse_custom_attributes(attributes)
        async with self._model(request, parameters, served, Deadline()) as model:
            times.answered_by(model.models, is_loaded=served is None)
            kept = None if is_first_half(model.pipeline, parameters) else self._kept

            async def parse(lines: list[bytes], first_line: int) -> ParsedRequest:
                self._options.limits.check_records(first_line + len(lines) - 1, path="body")
                return await self._parse([b"\n".join(lines) + b"\n"], content_type, attributes, first_line=first_line)

            async def keep(results: list[Result], parsed: ParsedRequest, before: int) -> None:
                if kept is not None:
                    await kept.keep(results, parsed, occasion_of(request, times.elapsed_s, model), first=before)

            portions = Portions(
                parse=parse,
                predict=lambda parsed: self._results(model, parsed),
                write=lambda results, parsed: self._write(results, parsed, media_type, model),
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

    async def _results(self, model: ServedModel, parsed: ParsedRequest) -> list[Result]:
        """One result a record, in order: records that could not be read keep their error."""
        readable = [record for record in parsed.records if isinstance(record, Record)]
        predict = partial(self._service.predict, model.pipeline, model=model.name)
        analyses = iter(await predict(readable) if readable else ())
        results: list[Result] = [next(analyses) if isinstance(record, Record) else record for record in parsed.records]
        if parsed.shape == "single" and isinstance(results[0], InvalidRequest) and not self._options.is_batch:
            raise results[0]
        return results

    async def _write(
        self, results: Sequence[Result], parsed: ParsedRequest, media_type: str, model: ServedModel
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
            text_by_default=model.pipeline.is_aspect_only,
            repeat_parameters=model.pipeline.is_aspect_only,
        )
        count_all = partial(self._count, analyses, errors=len(results) - len(analyses), model=model.name)
        if aspects <= _INLINE_ASPECTS and chars <= _INLINE_CHARS:
            count_all()
            return render_all()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._renderer, count_all)
        return await loop.run_in_executor(self._renderer, render_all)

    def _count(self, analyses: Sequence[Analysis], *, errors: int, model: str) -> None:
        polarities = Counter(aspect.polarity or "none" for analysis in analyses for aspect in analysis.aspects)
        self._metrics.record_results(texts=len(analyses), errors=errors, polarities=polarities, model=model)

    def close(self) -> None:
        """Ends the child process and the threads."""
        self._parser.close()  # ends a body in work, too
        self._parse_thread.shutdown(wait=True, cancel_futures=True)
        self._renderer.shutdown(wait=True, cancel_futures=True)
