"""Bodies of lines without an end in sight, as batch transform sends them with MaxPayloadInMB 0, answered as they come.

What is read at once is a portion; some portions are under way at a time, and no more is read before one of them is
done. Answers wait in a buffer for whoever reads them: a client may read while it sends, or send all first. One line
out for every line in. A failure of the server ends the connection in the middle, so that the job tries again.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from itertools import groupby

from starlette.requests import Request
from starlette.responses import Response

from absa_server.errors import AbsaError, ClientLeft
from absa_server.http.answer_buffer import AnswerBuffer
from absa_server.http.error_bodies import error_body
from absa_server.http.media_types import CSV, JSON, JSON_LINES, request_type
from absa_server.http.middleware import note_status
from absa_server.http.records import RecordError
from absa_server.http.rendering import Result
from absa_server.http.requests import ParsedRequest
from absa_server.http.stage_times import StageTimes
from absa_server.http.streaming import LineSender, SentResponse
from absa_server.types import Record

# Portions under way. Higher: fewer pauses of the engine between them, more memory; each is what the server had read at
# once, 64 KiB and a bit.
PORTIONS = 4
# A longer line is thrown away while it comes, and has an error in its place. Higher: more memory for such a line.
MAX_LINE_BYTES = 8 << 20
_SENT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Portions:
    """What is done with each portion, in this order.

    `parse` is given lines and the first one's number; `keep` the number of records before, or nothing is kept.
    """

    parse: Callable[[list[bytes], int], Awaitable[ParsedRequest]]
    predict: Callable[[ParsedRequest], Awaitable[list[Result]]]
    write: Callable[[list[Result], ParsedRequest], Awaitable[bytes]]
    keep: Callable[[list[Result], ParsedRequest, int], Awaitable[None]] | None


def is_endless(request: Request, media_type: str) -> bool:
    """Whether the body has no length, and body and answer are lines: then they can be answered one by one."""
    has_lines = request_type(request.headers.get("content-type")) in (JSON_LINES, CSV) and media_type != JSON
    return has_lines and "content-length" not in request.headers


async def answer_lines(
    request: Request,
    portions: Portions,
    *,
    media_type: str,
    times: StageTimes,
    stall_s: float,
    deadline: Callable[[], AbstractAsyncContextManager[object]],
) -> Response:
    """Reads, answers and sends; the response is sent when this returns.

    Raises what `portions` and `deadline` raise, and `ClientLeft`, before the first line; later the connection ends
    without an end of the body. A cancelled answer ends so, too.
    """
    sender = LineSender(request, media_type=media_type, stall_s=stall_s)
    try:
        async with deadline():
            with AnswerBuffer() as buffer:
                await _run(_Work(request, portions, buffer, sender, times))
    except AbsaError as error:
        if not sender.has_begun:
            raise
        note_status(request.scope, int(str(error_body(error)["code"])))
        return SentResponse()  # without an end
    await sender.end()
    return SentResponse()


async def _run(work: "_Work") -> None:
    try:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(work.read(group))
            group.create_task(work.collect())
            await work.send()
            reading.cancel()  # it watches for the client to leave
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


class _Work:
    """The three loops of one request: read portions, collect their answers in order, send them."""

    def __init__(
        self, request: Request, portions: Portions, buffer: AnswerBuffer, sender: LineSender, times: StageTimes
    ) -> None:
        self._request = request
        self._portions = portions
        self._buffer = buffer
        self._sender = sender
        self._times = times
        self._permits = asyncio.Semaphore(PORTIONS)
        self._under_way: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue()
        self._has_ids: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def read(self, group: asyncio.TaskGroup) -> None:
        """Begins a task for each portion, then waits for the client to leave. Raises `ClientLeft`."""
        count = 0
        async for lines in _portions_of(self._request, self._permits):
            self._under_way.put_nowait(group.create_task(self._answer(lines, count)))
            count += len(lines)
        self._under_way.put_nowait(None)
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        raise ClientLeft("the client left before its answer was ready")

    async def collect(self) -> None:
        """Puts the answers into the buffer, in the order of their portions."""
        while (task := await self._under_way.get()) is not None:
            self._buffer.put(await task)
            self._permits.release()
        self._buffer.end()

    async def send(self) -> None:
        """Sends what is in the buffer until its end."""
        while content := await self._buffer.take(_SENT_BYTES):
            if not self._sender.has_begun:
                self._times.end("first")
                await self._sender.begin(self._times)
            await self._sender.send(content)

    async def _answer(self, lines: Sequence[bytes | None], before: int) -> bytes:
        parsed = await self._parse(lines, before)
        if before == 0:  # an answer's columns are those of its first line
            self._has_ids.set_result(parsed.records[0].id is not None)
        parsed = replace(parsed, has_ids=await self._has_ids)
        results = await self._portions.predict(parsed)
        content = await self._portions.write(results, parsed)
        if self._portions.keep is not None:
            await self._portions.keep(results, parsed, before)
        return content

    async def _parse(self, lines: Sequence[bytes | None], before: int) -> ParsedRequest:
        """The portion as a request; None is a line that was too long."""
        parts: list[ParsedRequest] = []
        records: list[Record | RecordError] = []
        for is_too_long, run in groupby(lines, key=lambda line: line is None):
            number = before + len(records) + 1
            if is_too_long:
                records += [_too_long(number + place) for place, _ in enumerate(run)]
                continue
            parts.append(await self._portions.parse([line for line in run if line is not None], number))
            records += parts[-1].records
        whole = parts[0] if parts else await self._portions.parse([b""], before + 1)
        return replace(whole, records=tuple(records))


def _too_long(number: int) -> RecordError:
    message = f"line {number}: expected at most {MAX_LINE_BYTES} bytes a line of a body without a length, got more"
    return RecordError(None, message, 413, "PayloadTooLarge")


async def _portions_of(request: Request, permits: asyncio.Semaphore) -> AsyncGenerator[list[bytes | None]]:
    """The lines that are whole, as they come; a permit is taken for each portion. Raises `ClientLeft`."""
    cutter = LineCutter()
    more = True
    while more:
        await permits.acquire()
        lines: list[bytes | None] = []
        while more and not lines:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft(f"the client left after {cutter.lines} lines of its body")
            more = message.get("more_body", False)
            lines = [*cutter.cut(message.get("body", b"")), *(cutter.rest() if not more else ())]
        if lines:
            yield lines


class LineCutter:
    """Pieces of a body to whole lines without their ends. None stands for a line over `MAX_LINE_BYTES`."""

    def __init__(self) -> None:
        self.lines = 0
        self._pieces: list[bytes] = []
        self._size = 0

    def cut(self, piece: bytes) -> Iterator[bytes | None]:
        """The lines that end in this piece."""
        *whole, rest = piece.split(b"\n")
        for end in whole:
            self._add(end)
            yield self._take()
        self._add(rest)

    def rest(self) -> Iterator[bytes | None]:
        """What follows the last line end, if anything does; a body of nothing is one empty line."""
        if self._size or not self.lines:
            yield self._take()

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MAX_LINE_BYTES:
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)

    def _take(self) -> bytes | None:
        line = None if self._size > MAX_LINE_BYTES else b"".join(self._pieces)
        self._pieces, self._size = [], 0
        self.lines += 1
        return line
