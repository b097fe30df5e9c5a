"""`POST /invocations`: from a request to its answer. Reads headers and body, has the work done, renders.

Nothing that grows with the body runs on the event loop: large bodies are parsed in a child process, and their answers
rendered in a thread, because `/ping` is answered by the same loop.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from absa_server.absa.pipeline import Pipeline
from absa_server.errors import InvalidRequest
from absa_server.http.body import ended_by_disconnect, read_body
from absa_server.http.kept_results import KeptResults, Occasion
from absa_server.http.limits import Limits
from absa_server.http.media_types import default_type, negotiate, request_type
from absa_server.http.middleware import inference_id_of, request_id_of
from absa_server.http.model_choice import TARGET_MODEL, models_metric, read_choice, refuse_choice
from absa_server.http.offloaded_parsing import OFFLOAD_BYTES, ParserProcess
from absa_server.http.parameters import CUSTOM_ATTRIBUTES
from absa_server.http.rendering import Result, render
from absa_server.http.requests import ParsedRequest, parse_request
from absa_server.http.stage_times import StageTimes
from absa_server.serving.model_store import ModelStore
from absa_server.serving.served_model import ServedModel
from absa_server.serving.service import Deadline, Service
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
        self._parser = ParserProcess()
        # One thread: the child process parses one body at a time. Answers do not wait for bodies.
        self._parse_thread = ThreadPoolExecutor(1, thread_name_prefix="parse")
        self._renderer = ThreadPoolExecutor(1, thread_name_prefix="render")

    async def answer(self, request: Request, served: ServedModel | None = None) -> Response:
        """The analyses of the request's texts, in the type that Accept asks for.

        By `served`, else by the model of the store that the request names, else by the one model.
        """
        content_type = request.headers.get("content-type")
        default = default_type(self._options.default_accept, request_type(content_type))
        media_type = negotiate(request.headers.get("accept"), default)
        times = StageTimes()
        with self._service.permit():
            if self._store is None:
                served = served or self._service.slot.serve()
            async with self._service.deadline() as deadline:
                body = await read_body(request, max_bytes=self._options.max_payload_bytes)
                times.end("read")
                async with ended_by_disconnect(request):
                    parsed = await self._parse(body, content_type, request.headers.get(CUSTOM_ATTRIBUTES))
                    times.end("parse")
                    async with self._model(request, parsed, served, deadline) as model:
                        if served is None:
                            times.end("load")
                        results = await self._results(model, parsed)
                        times.end("predict")
                        content = await self._write(results, parsed, media_type, model)
                        times.end("write")
                        if self._kept is not None and not _is_first_half(model.pipeline, parsed):
                            await self._kept.keep(results, parsed, _occasion(request, times, model.models))
                            times.end("keep")
        timing = f"{times.header()}, {models_metric(model.models)}"
        return Response(content, media_type=media_type, headers={"Server-Timing": timing})

    @asynccontextmanager
    async def _model(
        self, request: Request, parsed: ParsedRequest, served: ServedModel | None, deadline: Deadline
    ) -> AsyncIterator[ServedModel]:
        """`served`, or what the request names in the store, not closed meanwhile."""
        if served is not None or self._store is None:
            served = served or self._service.slot.serve()
            refuse_choice(parsed.parameters)
            yield served
            return
        choice = read_choice(parsed.parameters, request.headers.get(TARGET_MODEL))
        deadline.advice = "its model was still being loaded, or waited for room; ask again"
        async with self._store.use(choice) as model:
            deadline.advice = None
            yield model

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


def _is_first_half(pipeline: Pipeline, parsed: ParsedRequest) -> bool:
    """Whether another container goes on with this answer: in a pipeline only the last one keeps it."""
    return pipeline.is_aspect_only and parsed.parameters.mode == "chain"


def _occasion(request: Request, times: StageTimes, models: Mapping[str, str]) -> Occasion:
    seconds = times.total_s
    request_id, inference_id = request_id_of(request.scope), inference_id_of(request.scope)
    return Occasion(request_id, inference_id, time.time() - seconds, seconds, dict(models))
