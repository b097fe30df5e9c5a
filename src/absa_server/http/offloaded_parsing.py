"""Large bodies are parsed by a child process, so that the parent goes on answering. Knows frames and pipes, no format.

orjson holds Python's lock from the first byte to the last, and 25 MB of small records take it half a second or more,
in which nothing else in the process runs, `/ping` included. Here the parent only moves bytes, which frees the lock,
and unpickles records in portions of `PORTION_BYTES`, between which other threads get their turn.

A request is two lengths, a pickle of the headers and limits, and the body. An answer is a head and then the records
in portions, each a length and a pickle. The head is a tuple, as a class of this module would be another class in the
child, where the module is `__main__`: the request without its records, or the exception, or the traceback of what
should not have happened; the number of records; the child's memory. Both ends are this module, so no pickle comes
from outside.
"""

import gc
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
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, BinaryIO

from absa_server.errors import InvalidRequest, ParserFailed
from absa_server.http.records import RecordError
from absa_server.http.requests import Limits, ParsedRequest, parse_request
from absa_server.types import Record

# Bodies above it go to the child. Higher: longer silences of the event loop (a body of this size: texts 0.3 ms, deeply
# nested JSON 10 ms); lower: more bodies wait for the one child, and each pays 1 ms for the way there and back.
OFFLOAD_BYTES = 128 * 1024
PORTION_BYTES = 256 * 1024
# Bodies of many small values take 50 to 100 times their own size while they are parsed, and a process keeps many of the
# pages it once had. Higher: more memory is held after such a body; lower: more bodies wait for a new child (0.1 s).
RETIRE_BYTES = 512 * 1024 * 1024
# Unix niceness of the child: on full cores the event loop goes first. Higher: large bodies wait longer for a core.
PARSER_NICE = 10
_REQUEST_HEAD = struct.Struct(">QQ")
_FRAME_HEAD = struct.Struct(">Q")


class ParserProcess:
    """`requests.parse_request` in a child that starts with the first body and is replaced when it dies.

    Callable from several threads: one body is parsed at a time, the others wait. A child that has grown beyond
    `retire_bytes` is replaced. It ends with its parent, whatever ends that.
    """

    def __init__(self, *, retire_bytes: int = RETIRE_BYTES) -> None:
        self._retire_bytes = retire_bytes
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "not started" if self.pid is None else f"pid {self.pid}"
        return f"<{type(self).__name__} {state}>"

    @property
    def pid(self) -> int | None:
        """The child's process id; None before the first body, and after a failure until the next one."""
        child = self._child
        return None if child is None else child.pid

    def parse(
        self,
        body: Sequence[bytes],
        *,
        content_type: str | None,
        custom_attributes: str | None,
        limits: Limits,
        is_batch: bool = False,
        first_line: int = 1,
        timeout_s: float | None = None,
    ) -> ParsedRequest:
        """As `requests.parse_request`, raising what that raises; else `ParserFailed`. Blocks: call it in a thread.

        `body` is in the pieces in which it arrived: to join 25 MB holds Python's lock for 10 ms and more.

        `timeout_s` bounds this body, but not its wait for others: the child is killed then.
        """
        headers = {
            "content_type": content_type,
            "custom_attributes": custom_attributes,
            "limits": limits,
            "is_batch": is_batch,
            "first_line": first_line,
        }
        with self._lock:
            try:
                child = self._running_child()
                outcome = child.ask(pickle.dumps(headers), body, timeout_s=timeout_s)
            except BaseException:  # whatever stopped us, the frames are out of step
                self._discard()
                raise
            if child.resident_bytes > self._retire_bytes:
                self._discard()
        if isinstance(outcome, InvalidRequest):
            raise outcome
        return outcome

    def close(self) -> None:
        """End the child. A body that is being parsed, or comes later, raises `ParserFailed`."""
        self._is_closed = True
        if (child := self._child) is not None:
            child.kill()
        with self._lock:
            self._discard()

    def _running_child(self) -> "_Child":
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
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603  our own command
        self.resident_bytes = 0
        for pipe in (self._stdin, self._stdout):
            os.set_blocking(pipe.fileno(), False)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def _stdin(self) -> IO[bytes]:
        return _opened(self._process.stdin)

    @property
    def _stdout(self) -> IO[bytes]:
        return _opened(self._process.stdout)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        self.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()

    def ask(self, headers: bytes, body: Sequence[bytes], *, timeout_s: float | None) -> ParsedRequest | InvalidRequest:
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        for part in (_REQUEST_HEAD.pack(len(headers), sum(map(len, body))), headers, *body):
            self._send(memoryview(part), deadline_s=deadline_s)
        outcome, count, self.resident_bytes = self._receive(deadline_s=deadline_s)
        if isinstance(outcome, str):
            raise ParserFailed("the parser process failed on this body") from RuntimeError(outcome)
        if isinstance(outcome, InvalidRequest):
            return outcome
        records: list[Record | RecordError] = []
        while len(records) < count:
            records += self._receive(deadline_s=deadline_s)
        request: ParsedRequest = outcome
        return replace(request, records=tuple(records))

    def _send(self, data: memoryview, *, deadline_s: float | None) -> None:
        while data:
            _wait(self._stdin, select.POLLOUT, deadline_s=deadline_s)
            try:
                data = data[os.write(self._stdin.fileno(), data) :]
            except BrokenPipeError:
                raise ParserFailed("the parser process died before it had read the body") from None

    def _receive(self, *, deadline_s: float | None) -> Any:  # noqa: ANN401  what `main` has written
        (length,) = _FRAME_HEAD.unpack(self._read(_FRAME_HEAD.size, deadline_s=deadline_s))
        return pickle.loads(self._read(length, deadline_s=deadline_s))  # noqa: S301  written by `main` alone

    def _read(self, length: int, *, deadline_s: float | None) -> bytearray:
        data = bytearray(length)
        rest = memoryview(data)
        while rest:
            _wait(self._stdout, select.POLLIN, deadline_s=deadline_s)
            count = os.readv(self._stdout.fileno(), [rest])
            if count == 0:
                raise ParserFailed("the parser process died while it parsed the body")
            rest = rest[count:]
        return data


def _opened(pipe: IO[bytes] | None) -> IO[bytes]:
    """A pipe that the process was started with; Popen's type allows for one that was not asked for."""
    if pipe is None:
        raise ParserFailed("the parser process has no pipe")
    return pipe


def _wait(pipe: IO[bytes], event: int, *, deadline_s: float | None) -> None:
    """Until the pipe can be used, or its other end is gone, which using it will tell."""
    poller = select.poll()
    poller.register(pipe, event)
    left_ms = None if deadline_s is None else max(0.0, deadline_s - time.monotonic()) * 1000
    if not poller.poll(left_ms):
        raise ParserFailed("the parser process did not parse the body in its time")


def main() -> None:
    """The child: answers one request after the other until its parent closes the pipe, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; our parent decides what it means
    gc.disable()  # parsed JSON holds no cycles, and looking for them takes longer than parsing it
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.nice(PARSER_NICE)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not stand between two frames
    with suppress(BrokenPipeError):
        while _answer_one(sys.stdin.buffer, answers):
            pass


def _answer_one(requests: BinaryIO, answers: BinaryIO) -> bool:
    """Whether there was a request. Its own function, so that nothing of a body is kept while waiting for the next."""
    head = requests.read(_REQUEST_HEAD.size)
    if len(head) < _REQUEST_HEAD.size:
        return False
    headers_bytes, body_bytes = _REQUEST_HEAD.unpack(head)
    headers, body = requests.read(headers_bytes), requests.read(body_bytes)
    if len(body) < body_bytes:
        return False
    for part in _answer(headers, body):
        frame = pickle.dumps(part)
        answers.write(_FRAME_HEAD.pack(len(frame)))
        answers.write(frame)
    answers.flush()
    return True


def _answer(headers: bytes, body: bytes) -> Iterator[object]:
    try:
        request = parse_request(body, **pickle.loads(headers))  # noqa: S301  written by our parent alone
    except InvalidRequest as error:
        yield error, 0, _resident_bytes()
    except Exception:  # the loop's edge: whatever it was, the parent waits for an answer
        yield traceback.format_exc(), 0, _resident_bytes()
    else:
        yield replace(request, records=()), len(request.records), _resident_bytes()
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


def _resident_bytes() -> int:
    """The memory of this process; 0 where no /proc tells it, and the child then lives as long as its parent."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
