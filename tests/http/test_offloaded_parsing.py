"""A real child process: the same answers as without it, and what becomes of a body when something happens to it."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import orjson
import pytest

from absa_server.errors import InvalidRequest, ParserFailed, UnsupportedMediaType
from absa_server.http.offloaded_parsing import PORTION_BYTES, ParserProcess
from absa_server.http.requests import Limits, parse_request

JSON, LINES, CSV, PLAIN = "application/json", "application/jsonlines", "text/csv", "text/plain"
LIMITS = Limits(max_records=3000, max_text_chars=600_000, max_aspects=200)
LONG = "the food was great, das Essen war gut, 料理は美味しい 😀. " * 10_000
GIVEN = [{"term": "food", "start": 4, "end": 8, "score": 0.5}] * 200


@pytest.fixture(scope="module")
def parser():
    with closing(ParserProcess()) as parser:
        yield parser


def parsed(parse, body, content_type=JSON, *, attributes=None, limits=LIMITS, **options):
    """What `parse` returns, or the type and message of what it refuses the body with."""
    given = body if parse is parse_request else [body[:1000], body[1000:]]
    try:
        return parse(given, content_type=content_type, custom_attributes=attributes, limits=limits, **options)
    except InvalidRequest as error:
        return type(error), error.message


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (orjson.dumps({"text": LONG}), JSON),
        (orjson.dumps({"texts": [LONG[:1000]] * 3000, "parameters": {"mode": "aspects"}}), JSON),
        (orjson.dumps([{"id": i, "text": LONG[: 100 + i], "aspects": GIVEN[:i]} for i in range(300)]), JSON),
        (orjson.dumps({"texts": ["a", 1, LONG * 2, {"text": "b", "aspects": ["c"]}]}), JSON),
        (orjson.dumps({"texts": []}), JSON),
        (b"\n".join([orjson.dumps({"text": LONG[:500], "id": "x"}), b"{"] * 1500), LINES),
        (b"id,text\n" + b'1,"a, ""b"""\n2\n' * 1000, CSV),
        (LONG.encode(), PLAIN),
        (orjson.dumps({"texts": ["a"] * 3001}), JSON),
        (b"[" * 1_000_000 + b"]" * 1_000_000, JSON),
        (b'{"text": "\xff"}', JSON),
        (b"", LINES),
        (b"a", "application/octet-stream"),
    ],
)
def test_answer_is_that_of_parsing_here(parser, body, content_type):
    """The same records in the same order, or the same refusal."""
    attributes = "min_score=0.5"
    here = parsed(parse_request, body, content_type, attributes=attributes)
    assert parsed(parser.parse, body, content_type, attributes=attributes) == here


def test_refusal_keeps_its_class(parser):
    """So that it gets its own status."""
    with pytest.raises(UnsupportedMediaType):
        parser.parse([b"a"], content_type="text/html", custom_attributes=None, limits=LIMITS)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_records_come_in_any_number_of_portions(parser, count):
    """One record larger than a portion, and several."""
    body = orjson.dumps({"texts": ["x" * (PORTION_BYTES + 1)] * count})
    assert len(parser.parse([body], content_type=JSON, custom_attributes=None, limits=LIMITS).records) == count


def test_child_starts_with_the_first_body():
    """Nothing runs before; then the same child parses one body after the other."""
    with closing(ParserProcess()) as parser:
        assert parser.pid is None
        assert repr(parser) == "<ParserProcess not started>"
        parsed(parser.parse, b'"a"')
        first = parser.pid
        parsed(parser.parse, b"{")
        assert parser.pid == first is not None
        assert repr(parser) == f"<ParserProcess pid {first}>"
    assert repr(parser) == "<ParserProcess closed>"


def test_stampede_is_answered_by_one_child(parser):
    """Eight threads with eight different bodies: each gets its own answer."""
    parsed(parser.parse, b'"a"')
    pid = parser.pid
    bodies = [orjson.dumps({"texts": [str(i) * 1000] * (100 * i)}) for i in range(1, 9)]
    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(lambda body: parsed(parser.parse, body), bodies))
    assert answers == [parsed(parse_request, body) for body in bodies]
    assert parser.pid == pid


def test_idle_child_that_was_killed_is_replaced(parser):
    """The next body is parsed as if nothing had happened."""
    parsed(parser.parse, b'"a"')
    killed = parser.pid
    os.kill(killed, signal.SIGKILL)
    os.waitid(os.P_PID, killed, os.WEXITED | os.WNOWAIT)
    assert parsed(parser.parse, b'"b"') == parsed(parse_request, b'"b"')
    assert parser.pid != killed


def test_body_of_a_child_that_is_killed_fails_and_the_next_does_not():
    """The caller learns that it was not the body, and the next body gets a new child."""
    with closing(ParserProcess()) as parser, ThreadPoolExecutor(1) as pool:
        stopped = stop_child(parser)
        body = pool.submit(parsed, parser.parse, b'"a"' * 1_000_000)
        wait_until_it_reads(parser)
        os.kill(stopped, signal.SIGKILL)
        with pytest.raises(ParserFailed, match="died"):
            body.result()
        assert parsed(parser.parse, b'"a"') == parsed(parse_request, b'"a"')


@pytest.mark.parametrize("body", [b'"a"', b'"a"' * 1_000_000])
def test_body_that_takes_too_long_fails(body):
    """Whether it stands still before or after it has read the body, the child is killed; the next one answers."""
    with closing(ParserProcess()) as parser:
        stopped = stop_child(parser)
        with pytest.raises(ParserFailed, match="in its time"):
            parsed(parser.parse, body, timeout_s=0.05)
        with pytest.raises(ProcessLookupError):
            os.kill(stopped, 0)
        assert parsed(parser.parse, b'"a"', timeout_s=60) == parsed(parse_request, b'"a"')


def test_close_ends_the_body_in_work_and_those_that_wait():
    """None of four callers hangs, the child is gone, and a later body is refused."""
    parser = ParserProcess()
    stopped = stop_child(parser)
    with ThreadPoolExecutor(4) as pool:
        bodies = [pool.submit(parsed, parser.parse, b'"a"' * 1_000_000) for _ in range(4)]
        wait_until_it_reads(parser)
        parser.close()
        for body in bodies:
            with pytest.raises(ParserFailed):
                body.result()
    with pytest.raises(ProcessLookupError):
        os.kill(stopped, 0)
    with pytest.raises(ParserFailed, match="closed"):
        parsed(parser.parse, b'"a"')
    parser.close()


def test_unforeseen_exception_of_the_child_is_told_with_its_traceback():
    """The message is for the caller, the cause for the log."""
    with closing(ParserProcess()) as parser, pytest.raises(ParserFailed, match="failed on this body") as caught:
        parsed(parser.parse, b'["a"]', limits=None)
    assert "AttributeError" in str(caught.value.__cause__)


def test_grown_child_is_replaced():
    """A body is answered even if the child has to go after it; a child that has not grown stays."""
    with closing(ParserProcess(retire_bytes=1)) as small, closing(ParserProcess(retire_bytes=2**40)) as large:
        for parser in (small, large):
            assert parsed(parser.parse, b'"a"') == parsed(parse_request, b'"a"')
        assert small.pid is None
        assert large.pid is not None


def test_child_ends_with_its_parent():
    """A parent that is gone without a word leaves no child: the error stream that both held reaches its end."""
    script = (
        "import os\n"
        "from absa_server.http.offloaded_parsing import ParserProcess\n"
        "from absa_server.http.requests import Limits\n"
        "parser = ParserProcess()\n"
        "parser.parse([b'[]'], content_type=None, custom_attributes=None, limits=Limits(1, 1, 1))\n"
        "os._exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (7, b"")


def stop_child(parser):
    """Start the child and have the kernel stop it, so that it reads nothing from now on."""
    parsed(parser.parse, b'"a"')
    os.kill(parser.pid, signal.SIGSTOP)
    return parser.pid


def wait_until_it_reads(parser):
    """Until the first bytes of a body lie in the stopped child's pipe."""
    deadline_s = time.monotonic() + 30
    while not int.from_bytes(fcntl.ioctl(parser._child._stdin, termios.FIONREAD, bytes(4)), sys.byteorder):
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.001)
