"""Large bodies are parsed by a child process, so that the parent goes on answering. Knows frames and pipes, no format.

orjson holds Python's lock from the first byte to the last, and 25 MB of small records take it half a second or more,
in which nothing else in the process runs, `/ping` included. Here the parent only moves bytes, which frees the lock,
and unpickles records in portions of `PORTION_BYTES`, between which other threads get their turn.

A request is the lengths of its two parts and then those: a pickle of the headers and limits, and the body. An answer is a
number of frames, each a length and a pickle: the request without its records, then the records; or one exception.
Both ends are this module, so neither pickle comes from outside.
"""

import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO

from absa_server.errors import InvalidRequest
from absa_server.http.records import RecordError
from absa_server.http.requests import Limits, ParsedRequest, parse_request
from absa_server.types import Record

# Bodies above it go to the child. Higher: longer silences of the event loop; lower: more bodies wait for one child.
OFFLOAD_BYTES = 256 * 1024
PORTION_BYTES = 256 * 1024
_SLICE_BYTES = 1024 * 1024
_REQUEST_HEAD = struct.Struct(">QQ")
_FRAME_HEAD = struct.Struct(">Q")


class ParserFailed(RuntimeError):
    """The child died, ran out of time, was closed, or raised what a parser must not. The body may be perfectly good."""


class ParserProcess:
    """`requests.parse_request` in a child that starts with the first body and is replaced when it dies.

    Callable from several threads: one body is parsed at a time, the others wait. `timeout_s` bounds one body, its wait
    excluded; the child is killed then. It also ends with its parent, whatever ends that.
    """

    def __init__(self, *, timeout_s: float | None = None) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "not started" if self._child is None else f"pid {self._child.pid}"
        return f"<{type(self).__name__} {state}>"

    def parse_request(
        self, body: bytes, *, content_type: str | None, custom_attributes: str | None, limits: Limits
    ) -> ParsedRequest:
        """As `requests.parse_request`, and raises what that raises; else `ParserFailed`. Blocks: not for an event loop."""
        headers = {"content_type": content_type, "custom_attributes": custom_attributes, "limits": limits}
        with self._lock:
            try:
                answer = self._started().ask(pickle.dumps(headers), body, timeout_s=self._timeout_s)
            except BaseException:  # whatever stopped us, the frames are out of step
                self._discard()
                raise
        if isinstance(answer, InvalidRequest):
            raise answer
        return answer

    def close(self) -> None:
        """End the child. A body that is being parsed, or comes later, raises `ParserFailed`."""
        self._is_closed = True
        if (child := self._child) is not None:
            child.kill()
        with self._lock:
            self._discard()

    def _started(self) -> "_Child":
        if self._child is None or not self._child.is_alive():
            self._discard()
            self._child = _Child()
        # Asked last: `close` sets it before it looks for a child, so one of the two sees the other.
        if self._is_closed:
            raise ParserFailed("the parser process is closed: the server is stopping")
        return self._child

    def _discard(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _Child:
    """One child process and the parent's ends of its pipes. Used by one thread at a time, but for `kill`."""

    def __init__(self) -> None:
        # -P: no module of the working directory stands in for one of ours.
        command = [sys.executable, "-P", "-m", "absa_server.http.offloaded_parsing"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018  asked for above
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        os.set_blocking(self._stdout.fileno(), False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        self.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()

    def ask(self, headers: bytes, body: bytes, *, timeout_s: float | None) -> ParsedRequest | InvalidRequest:
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        for part in (_REQUEST_HEAD.pack(len(headers), len(body)), headers, body):
            self._send(memoryview(part), deadline_s=deadline_s)
        answer = self._receive(deadline_s=deadline_s)
        if isinstance(answer, InvalidRequest):
            return answer
        if not isinstance(answer, tuple):
            raise ParserFailed("the parser process failed on this body") from RuntimeError(str(answer))
        request, count = answer
        records: list[Record | RecordError] = []
        while len(records) < count:
            records += self._receive(deadline_s=deadline_s)  # type: ignore[call-overload]
        return replace(request, records=tuple(records))

    def _send(self, data: memoryview, *, deadline_s: float | None) -> None:
        while data:
            self._wait(self._stdin, select.POLLOUT, deadline_s=deadline_s)
            try:
                data = data[os.write(self._stdin.fileno(), data[:_SLICE_BYTES]) :]
            except BrokenPipeError:
                raise ParserFailed("the parser process died before it had read the body") from None

    def _receive(self, *, deadline_s: float | None) -> object:
        (length,) = _FRAME_HEAD.unpack(self._read(_FRAME_HEAD.size, deadline_s=deadline_s))
        return pickle.loads(self._read(length, deadline_s=deadline_s))  # noqa: S301  written by `main` below alone

    def _read(self, length: int, *, deadline_s: float | None) -> bytearray:
        data = bytearray(length)
        rest = memoryview(data)
        while rest:
            self._wait(self._stdout, select.POLLIN, deadline_s=deadline_s)
            count = os.readv(self._stdout.fileno(), [rest])
            if count == 0:
                raise ParserFailed("the parser process died while it parsed the body")
            rest = rest[count:]
        return data

    def _wait(self, pipe: object, event: int, *, deadline_s: float | None) -> None:
        """Until the pipe can be used, or its other end is gone, which using it will tell."""
        poller = select.poll()
        poller.register(pipe, event)  # type: ignore[arg-type]
        left_ms = None if deadline_s is None else max(0.0, deadline_s - time.monotonic()) * 1000
        if not poller.poll(left_ms):
            raise ParserFailed("the parser process did not parse the body in its time")


def main() -> None:
    """The child: answers one request after the other until its parent closes the pipe, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; our parent decides what it means
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not stand between two frames
    with suppress(BrokenPipeError):
        while request := _read_request(sys.stdin.buffer):
            for part in _answer(*request):
                frame = pickle.dumps(part)
                answers.write(_FRAME_HEAD.pack(len(frame)))
                answers.write(frame)
            answers.flush()


def _read_request(pipe: BinaryIO) -> tuple[bytes, bytes] | None:
    head = pipe.read(_REQUEST_HEAD.size)
    if len(head) < _REQUEST_HEAD.size:
        return None
    headers_bytes, body_bytes = _REQUEST_HEAD.unpack(head)
    headers, body = pipe.read(headers_bytes), pipe.read(body_bytes)
    return (headers, body) if len(body) == body_bytes else None


def _answer(headers: bytes, body: bytes) -> Iterator[object]:
    try:
        request = parse_request(body, **pickle.loads(headers))  # noqa: S301  written by our parent alone
    except InvalidRequest as error:
        yield error
    except Exception:
        yield traceback.format_exc()
    else:
        yield replace(request, records=()), len(request.records)
        yield from _portions(request.records)


def _portions(records: tuple[Record | RecordError, ...]) -> Iterator[list[Record | RecordError]]:
    """The records in order, in lists of about `PORTION_BYTES`, or of one record that is larger."""
    portion: list[Record | RecordError] = []
    portion_bytes = 0
    for record in records:
        portion.append(record)
        portion_bytes += _estimated_bytes(record)
        if portion_bytes >= PORTION_BYTES:
            yield portion
            portion, portion_bytes = [], 0
    if portion:
        yield portion


def _estimated_bytes(record: Record | RecordError) -> int:
    if isinstance(record, RecordError):
        return 200 + len(record.message)
    return 200 + len(record.text) + 100 * len(record.aspects or ())


if __name__ == "__main__":
    main()
