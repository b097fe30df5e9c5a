"""A streamed answer: each result as it completes, in the order of its records, as JSON Lines.

The first line is sent with the status, so what fails before it has a status of its own. What fails later is told in
band: every record has its line, whatever happens, as long as somebody reads. The time of a request is the server's:
what a reader takes does not count, but one that takes nothing for that long has left.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from absa_server.errors import AbsaError, ClientLeft, InvalidRequest, ModelNotReady
from absa_server.http.body import EndedByDisconnect
from absa_server.http.error_bodies import error_body
from absa_server.http.kept_results import KeptResults, Occasion
from absa_server.http.middleware import note_status, sender_of
from absa_server.http.rendering import Result, render_line
from absa_server.http.requests import ParsedRequest
from absa_server.http.stage_times import StageTimes
from absa_server.serving.served_model import ServedModel
from absa_server.serving.service import Service
from absa_server.telemetry.prometheus import Metrics
from absa_server.types import Analysis, Record

# A server that stops tells what is missing; a reader who does not read now will not hear it.
_LAST_WORDS_S = 1.0


class SentResponse(Response):
    """An answer that has been sent already."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Nothing is left to do."""


class LineSender:
    """Sends lines as the body of one answer, in chunks; its status goes out with the first."""

    def __init__(self, request: Request, *, media_type: str, stall_s: float) -> None:
        """`stall_s`: how long a reader may take nothing."""
        self.has_begun = False
        self._send = sender_of(request.scope)
        self._media_type = media_type
        self._stall_s = stall_s

    async def begin(self, times: StageTimes) -> None:
        """Sends the status 200, and how long it took."""
        self.has_begun = True
        named = [("content-type", self._media_type), ("server-timing", times.header())]
        headers = [(name.encode(), value.encode()) for name, value in named]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send(self, lines: bytes) -> None:
        """Returns when the lines are on their way. Raises `ClientLeft` when nobody has read for too long."""
        try:
            async with asyncio.timeout(self._stall_s):
                await self._send({"type": "http.response.body", "body": lines, "more_body": True})
        except TimeoutError:
            raise ClientLeft(f"the client took nothing of its answer for {self._stall_s:g} s") from None

    async def end(self) -> None:
        """The end of the body, without which a client takes it for broken."""
        await self._send({"type": "http.response.body", "body": b""})


@dataclass(frozen=True, slots=True)
class Streaming:
    """`kept`: where each line is kept before it is sent. `stall_s`: how long a reader may take nothing."""

    service: Service
    metrics: Metrics
    kept: KeptResults | None
    stall_s: float

    async def answer(
        self,
        request: Request,
        model: ServedModel,
        parsed: ParsedRequest,
        *,
        media_type: str,
        times: StageTimes,
        occasion: Callable[[], Occasion] | None,
    ) -> Response:
        """Sends the whole answer before it returns. `occasion`: what is kept with a line now; None keeps nothing.

        Raises what `Service.stream` does, `InvalidRequest` for a single record, `ResultsUnavailable` and `ClientLeft`,
        all before the first line.
        """
        stream = _Stream(self, LineSender(request, media_type=media_type, stall_s=self.stall_s), model, parsed)
        try:
            async with EndedByDisconnect(request):
                failure = await stream.run(times, occasion)
        except ClientLeft:
            if not stream.sender.has_begun:
                raise
            note_status(request.scope, int(str(error_body(ClientLeft(""))["code"])))
            return SentResponse()
        except asyncio.CancelledError:
            await stream.say_last_words()
            raise
        # Outside of the block above: whoever has sent all is told that the client has gone.
        await stream.sender.end()
        if failure is not None:
            note_status(request.scope, int(str(error_body(failure)["code"])))
        return SentResponse()


@dataclass(slots=True)
class _Stream:
    owner: Streaming
    sender: LineSender
    model: ServedModel
    parsed: ParsedRequest
    sent: int = 0

    async def run(self, times: StageTimes, occasion: Callable[[], Occasion] | None) -> AbsaError | None:
        """What the rest of the records failed with, in band; None where every record has its own result."""
        records = self.parsed.records
        try:
            async with aclosing(self._in_order(times)) as results:
                async for index, result in results:
                    if self.parsed.shape == "single" and isinstance(result, InvalidRequest):
                        raise result
                    if self.owner.kept is not None and occasion is not None:
                        await self.owner.kept.keep_one(index, result, records[index], occasion())
                    if not self.sender.has_begun:
                        times.end("first")
                        await self.sender.begin(times)
                    await self._send([result])
        except ClientLeft:
            raise
        except AbsaError as error:
            if not self.sender.has_begun:
                raise
            await self._send([error] * (len(records) - self.sent))
            return error
        if not self.sender.has_begun:  # no records, no lines
            await self.sender.begin(times)
        return None

    async def _in_order(self, times: StageTimes) -> AsyncGenerator[tuple[int, Result]]:
        """Every record's result with its index, as soon as those before it have theirs."""
        records = self.parsed.records
        places = [index for index, record in enumerate(records) if isinstance(record, Record)]
        waiting: dict[int, Result] = {
            index: record for index, record in enumerate(records) if not isinstance(record, Record)
        }
        readable = [record for record in records if isinstance(record, Record)]
        due = 0
        stream = self.owner.service.stream(self.model.pipeline, readable, model=self.model.name)
        async with aclosing(stream) as answers:
            while due < len(records):
                if due in waiting:
                    yield due, waiting.pop(due)
                    due += 1
                    continue
                async with self.owner.service.deadline(spent_s=times.elapsed_s):
                    place, answer = await anext(answers)
                waiting[places[place]] = answer

    async def _send(self, results: Sequence[Result]) -> None:
        """The lines of the next records, counted in the metrics."""
        first, self.sent = self.sent, self.sent + len(results)
        is_first_half = self.model.pipeline.is_aspect_only
        pairs = zip(results, self.parsed.records[first : self.sent], strict=True)
        await self.sender.send(
            b"".join(
                render_line(result, record, text_by_default=is_first_half, repeat_parameters=is_first_half)
                for result, record in pairs
            )
        )
        analyses = [result for result in results if isinstance(result, Analysis)]
        polarities = Counter(aspect.polarity or "none" for analysis in analyses for aspect in analysis.aspects)
        errors = len(results) - len(analyses)
        self.owner.metrics.record_results(
            texts=len(analyses), errors=errors, polarities=polarities, model=self.model.name
        )

    async def say_last_words(self) -> None:
        """The server stops: what is missing is told to a reader who reads."""
        if not self.sender.has_begun:
            return
        stopping = ModelNotReady("the server is stopping; send this record again", retry_after_s=1)
        with suppress(TimeoutError, ClientLeft):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._send([stopping] * (len(self.parsed.records) - self.sent))
                await self.sender.end()
