"""An HTTP proxy between a client and a real server that fails as it is told: by rules, each for some requests.

One request a connection, bytes passed on as they are: signatures stay valid. Knows nothing of S3 but its error body.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_BLOCK_BYTES = 1 << 16
_CLOSING_ROUNDS = 5


@dataclass(frozen=True)
class Request:
    """One request's line and headers, names in lower case."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Rule:
    """What happens to the next `times` requests that `when` accepts; None: to all of them.

    `before` runs first. Then `hold` keeps the request until the event is set; `status` answers it here, with an S3
    error `code`. Of the server's answer `answer_headers` are replaced; `drop_after` bytes of its body pass before the
    connection is reset, or `truncate_to` of them with a Content-Length that says so, and a bit at `flip_at` is changed.
    """

    when: Callable[[Request], bool] = lambda request: request.method == "GET"
    times: int | None = 1
    before: Callable[[], object] | None = None
    answer_headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    status: int | None = None
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    truncate_to: int | None = None
    flip_at: int | None = None
    # Set as soon as the rule has met its first request.
    met: threading.Event = field(default_factory=threading.Event)


class FaultProxy:
    """Listens on a free port of 127.0.0.1 and passes requests on to `upstream`, `(host, port)`, until it is left."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._rules: list[Rule] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[Request] = []

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self._server = starting.result(10)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for rule in self._rules:
            if rule.hold:
                rule.hold.set()
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def add(self, rule: Rule) -> Rule:
        """`rule`, in force from now on; of several that fit a request the first counts."""
        self._rules.append(rule)
        return rule

    async def _close(self) -> None:
        self._server.close()
        await self._server.wait_closed()
        # Connections that were accepted last become tasks only in later rounds of the loop; transports close in them.
        for _ in range(_CLOSING_ROUNDS):
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            # Of asyncio's own tasks, which accept, a cancelled one would leave its socket open.
            for task in self._tasks.intersection(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)
        await self._loop.shutdown_default_executor()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The loop itself refers to tasks only weakly, and one whose client has gone would be collected in the middle.
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._pass_on(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # one side has gone: that is what this is for
        except asyncio.CancelledError:
            pass  # the proxy closes; Python 3.11 would ask the cancelled task for its exception, which raises
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        request = _parse(head)
        self.requests.append(request)
        rule = self._take_rule(request)
        rule.met.set()
        if rule.before:
            await asyncio.to_thread(rule.before)
        if rule.hold:
            await asyncio.to_thread(rule.hold.wait)
        if rule.status:
            writer.write(_error(rule, is_head=request.method == "HEAD"))
            await writer.drain()
            return
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        try:
            up_writer.write(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            up_writer.write(await reader.readexactly(int(request.headers.get("content-length", 0))))
            await _answer(up_reader, writer, rule)
        finally:
            up_writer.close()

    def _take_rule(self, request: Request) -> Rule:
        for rule in self._rules:
            if rule.times != 0 and rule.when(request):
                rule.times = None if rule.times is None else rule.times - 1
                return rule
        return Rule()


def _parse(head: bytes) -> Request:
    line, *fields = head.decode("latin-1").strip().split("\r\n")
    method, path, _ = line.split(" ")
    return Request(
        method, path, {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in fields)}
    )


def _with_headers(head: bytes, replaced: dict[str, str]) -> bytes:
    names = tuple(f"{name.lower()}:".encode() for name in replaced)
    lines = [line for line in head.split(b"\r\n")[:-2] if not (names and line.lower().startswith(names))]
    return b"\r\n".join([*lines, *(f"{name}: {value}".encode() for name, value in replaced.items()), b"", b""])


def _error(rule: Rule, *, is_head: bool) -> bytes:
    body = f"<?xml version='1.0'?><Error><Code>{rule.code}</Code><Message>told to</Message></Error>".encode()
    fields = {
        "Content-Type": "application/xml",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **rule.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {rule.status} Told\r\n{lines}\r\n".encode() + (b"" if is_head else body)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rule: Rule) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    replaced = dict(rule.answer_headers)
    if rule.truncate_to is not None:
        replaced["Content-Length"] = str(rule.truncate_to)
    writer.write(_with_headers(head, replaced))
    limit = next((limit for limit in (rule.drop_after, rule.truncate_to) if limit is not None), None)
    passed = 0
    while (limit is None or passed < limit) and (block := await reader.read(_BLOCK_BYTES)):
        block = block if limit is None else block[: limit - passed]
        if rule.flip_at is not None and passed <= rule.flip_at < passed + len(block):
            at = rule.flip_at - passed
            block = block[:at] + bytes([block[at] ^ 1]) + block[at + 1 :]
        passed += len(block)
        writer.write(block)
        await writer.drain()
    if rule.drop_after is not None:
        writer.transport.abort()
