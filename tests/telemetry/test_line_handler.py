"""Lines of requests may wait, others may not; none is lost, none overtakes another."""

import io
import logging
import subprocess
import sys
import threading

import pytest

from absa_server.telemetry.line_handler import REQUESTS, LineHandler

NEVER_S = 3600.0


@pytest.fixture
def stream():
    return io.StringIO()


def logger(name: str, handler: LineHandler) -> logging.Logger:
    """A logger outside of logging's own tree, so that nothing else hears it."""
    made = logging.Logger(name, logging.INFO)
    made.addHandler(handler)
    return made


def test_request_lines_wait_and_the_next_other_line_takes_them_along(stream):
    """Order is kept: a warning comes out at once, behind the requests before it."""
    handler = LineHandler(stream, delay_s=NEVER_S)
    requests, others = logger(REQUESTS, handler), logger("absa_server.app", handler)
    requests.info("one")
    requests.info("two")
    assert stream.getvalue() == ""
    others.info("three")
    assert stream.getvalue() == "one\ntwo\nthree\n"
    handler.close()


def test_request_line_that_is_more_than_information_does_not_wait(stream):
    """Trouble is told at once, wherever it comes from."""
    handler = LineHandler(stream, delay_s=NEVER_S)
    logger(REQUESTS, handler).error("crashed")
    assert stream.getvalue() == "crashed\n"
    handler.close()


def test_waiting_lines_come_out_by_themselves(stream):
    """With nobody else to write them, the thread does."""
    written = threading.Event()

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            written.set()
            return super().write(text)

    handler = LineHandler(Stream(), delay_s=0.0)
    logger(REQUESTS, handler).info("one")
    assert written.wait(10)
    handler.close()


def test_close_under_the_lock_writes_what_waits(stream):
    """logging.shutdown holds the lock while it closes: nothing waits for itself, nothing is lost."""
    handler = LineHandler(stream, delay_s=NEVER_S)
    requests = logger(REQUESTS, handler)
    requests.info("one")
    handler.acquire()
    handler.close()
    handler.release()
    assert stream.getvalue() == "one\n"
    requests.info("late")
    assert stream.getvalue() == "one\nlate\n"


def test_many_threads_lose_no_line():
    """A stampede of requests while lines go out: each comes out once and whole."""
    stream = io.StringIO()
    handler = LineHandler(stream, delay_s=0.0)
    requests = logger(REQUESTS, handler)
    lines = [[f"{thread}-{number}" for number in range(200)] for thread in range(8)]
    threads = [threading.Thread(target=lambda own=own: [requests.info(line) for line in own]) for own in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.close()
    assert sorted(stream.getvalue().split()) == sorted(line for own in lines for line in own)


def test_process_that_ends_has_written_its_lines():
    """The end of the interpreter closes the handler."""
    code = (
        "import logging.config; from absa_server.telemetry.logs import logging_config;"
        "logging.config.dictConfig(logging_config('INFO')); logging.getLogger('absa_server.requests').info('request')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert '"event":"request"' in done.stdout
    assert done.stderr == ""
