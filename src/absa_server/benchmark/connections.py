"""Keep-alive connections to one server, one request at a time on each. Knows HTTP/1.1 answers by status alone.

Raw protocols and a C parser, because the generator stands on the machine it measures: what it uses, the server lacks.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import cast

import httptools

CONNECTION_LOST = 0
UNANSWERED = -1


class Exchange:
    """One request and what came of it. Times are `time.monotonic`'s seconds (an event loop's own clock is coarser).

    `status` is 0 where the connection broke, -1 while there is no answer.
    """

    __slots__ = ("done_s", "intended_s", "is_retry", "request", "sent_s", "status")

    def __init__(self, request: bytes, intended_s: float) -> None:
        self.request = request
        self.intended_s = intended_s
        self.sent_s = self.done_s = float("inf")
        self.status = UNANSWERED
        self.is_retry = False


class Connection(asyncio.Protocol):
    """One connection; the pool owns it. Parser callbacks have httptools' names."""

    def __init__(self, pool: "ConnectionPool") -> None:
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.WriteTransport | None = None
        self._exchange: Exchange | None = None
        self._is_used = self._is_answering = False

    def send(self, exchange: Exchange) -> None:
        """Write the request; the pool hears when the answer is whole or the connection is gone."""
        assert self._transport is not None, "the pool sends on open connections only"  # noqa: S101
        self._exchange = exchange
        self._is_answering = False
        exchange.sent_s = min(exchange.sent_s, time.monotonic())
        self._transport.write(exchange.request)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is one without being a subclass

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls back; what is no HTTP ends the connection."""
        self._is_answering = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def on_message_complete(self) -> None:
        """An answer is whole."""
        status, keeps_alive = self._parser.get_status_code(), self._parser.should_keep_alive()
        if status < 200:
            return  # 100 Continue: the answer is still to come
        exchange, self._exchange, self._is_used = self._exchange, None, True
        self._parser = httptools.HttpResponseParser(self)
        # Free before settled: a client that sends its next request at once finds this connection.
        if keeps_alive:
            self._pool.release(self)
        else:
            self.abort()
        if exchange is not None:
            self._pool.settle(exchange, status)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the reason does not matter
        """Tell the pool, with what was under way."""
        exchange, self._exchange = self._exchange, None
        # A server may close an idle connection just as a request is written to it: HTTP clients send such a one again.
        is_stale = self._is_used and not self._is_answering
        self._pool.lose(self, exchange, is_stale=is_stale)


class ConnectionPool:
    """Opens connections as requests need them, up to `limit`; further requests wait, oldest first.

    The most recently used connection goes first: a server's own balancing sees as few as possible. One event loop.
    """

    def __init__(self, host: str, port: int, *, limit: int, on_done: Callable[[Exchange], None]) -> None:
        self._host, self._port, self._limit, self._on_done = host, port, limit, on_done
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._waiting: deque[Exchange] = deque()
        self._is_closed = False
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self.unanswered = 0

    def submit(self, exchange: Exchange) -> None:
        """Send now, or as soon as a connection is free."""
        self.unanswered += 1
        self._all_answered.clear()
        self._dispatch(exchange)

    async def wait_until_answered(self) -> None:
        """Returns when every request that was submitted has been settled."""
        while self.unanswered:  # a client that is answered may send its next request before this is woken
            await self._all_answered.wait()

    async def close(self) -> None:
        """Abort every connection; what is unanswered stays so."""
        self._is_closed = True
        for connecting in tuple(self._connecting):
            connecting.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in tuple(self._open):
            connection.abort()
        await asyncio.sleep(0)

    def settle(self, exchange: Exchange, status: int) -> None:
        """The exchange is over."""
        self.unanswered -= 1
        if not self.unanswered:
            self._all_answered.set()
        exchange.status, exchange.done_s = status, time.monotonic()
        self._on_done(exchange)

    def release(self, connection: Connection) -> None:
        """A connection is free for the next request."""
        if self._waiting:
            connection.send(self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lose(self, connection: Connection, exchange: Exchange | None, *, is_stale: bool) -> None:
        """A connection is gone, with the exchange that was on it, if any."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if exchange is None or self._is_closed:
            return
        if is_stale and not exchange.is_retry:
            exchange.is_retry = True
            self._dispatch(exchange)
        else:
            self.settle(exchange, CONNECTION_LOST)
        self._connect_for_waiting()

    def _dispatch(self, exchange: Exchange) -> None:
        if self._idle:
            self._idle.pop().send(exchange)
            return
        self._waiting.append(exchange)
        self._connect_for_waiting()

    def _connect_for_waiting(self) -> None:
        while len(self._connecting) < min(len(self._waiting), self._limit - len(self._open)):
            task = self._loop.create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        try:
            _, connection = await self._loop.create_connection(lambda: Connection(self), self._host, self._port)
        except OSError:
            if self._waiting:
                self.settle(self._waiting.popleft(), CONNECTION_LOST)
            return
        # Before the connection is used: it may be lost again before the task counts as done, and whoever waits then
        # must not take this task for one that will still bring a connection.
        self._connecting.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        self._open.add(connection)
        self.release(connection)
