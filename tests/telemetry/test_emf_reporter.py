"""The thread that writes the lines: each interval, at the end, and whatever happens to stdout."""

import json
import os
import subprocess
import sys
import threading

import pytest

from absa_server.telemetry.emf import EmfFormat
from absa_server.telemetry.emf_reporter import EmfReporter
from absa_server.telemetry.prometheus import Metrics

NEVER_S = 3600
WAIT_S = 10


class Sink:
    """Takes lines; the first `failing` of them not. `wait_for` returns when so many were taken."""

    def __init__(self, failing: int = 0) -> None:
        self.lines: list[dict] = []
        self.attempts = 0
        self._failing = failing
        self._changed = threading.Condition()

    def __call__(self, line: bytes) -> None:
        with self._changed:
            self.attempts += 1
            self._changed.notify_all()
            if self.attempts <= self._failing:
                raise BrokenPipeError("nobody reads")
            self.lines.append(json.loads(line))

    def wait_for_attempts(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.attempts >= count, WAIT_S)

    def total(self, name: str) -> float:
        return sum(line.get(name, 0) for line in self.lines)


def reporter(metrics: Metrics, write, *, interval_s: float = NEVER_S) -> EmfReporter:
    return EmfReporter(metrics.registry, EmfFormat(), interval_s=interval_s, write=write, clock=lambda: 1.5)


def count(metrics: Metrics, texts: int, model: str = "model") -> None:
    metrics.record_results(texts=texts, errors=0, polarities={}, model=model)


def test_close_writes_what_came_last():
    """A stop within the first interval loses nothing; no thread is left."""
    metrics, sink = Metrics(), Sink()
    running = reporter(metrics, sink)
    running.start()
    count(metrics, 3)
    running.close()
    assert sink.total("Texts") == 3
    assert sink.lines[0]["_aws"]["Timestamp"] == 1500
    assert not [thread for thread in threading.enumerate() if thread.name == "emf"]


def test_close_before_start_returns():
    """An application whose server never started has nothing to wait for."""
    sink = Sink()
    reporter(Metrics(), sink).close()
    assert sink.lines == []


def test_intervals_add_up_to_the_registry():
    """Many short intervals while threads count: the lines together are what was counted."""
    metrics, sink = Metrics(), Sink()
    running = reporter(metrics, sink, interval_s=0.001)
    running.start()
    threads = [threading.Thread(target=lambda: [count(metrics, 1) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    running.close()
    assert sink.total("Texts") == sink.total("Answers") == 2000


def test_scrape_and_line_do_not_disturb_each_other():
    """Scrapes between the lines change no line, and lines change nothing that is scraped."""
    metrics, sink = Metrics(), Sink()
    running = reporter(metrics, sink, interval_s=0.001)
    running.start()
    scraped = []
    for number in range(100):
        count(metrics, 1)
        scraped.append(f'absa_texts_total{{model="model"}} {number + 1}.0' in metrics.render().decode())
    running.close()
    assert all(scraped)
    assert sink.total("Texts") == 100


def test_line_that_failed_is_made_up_for(caplog: pytest.LogCaptureFixture):
    """A stdout that fails for a while loses and doubles nothing; the log says so once."""
    metrics, sink = Metrics(), Sink(failing=3)
    running = reporter(metrics, sink, interval_s=0.001)
    count(metrics, 5)
    running.start()
    sink.wait_for_attempts(4)
    running.close()
    assert sink.total("Texts") == 5
    assert [record.message for record in caplog.records] == ["emf_not_written"]


def test_lines_that_were_written_before_a_failure_are_not_repeated():
    """Of two models' lines the second fails: the next attempt is that one alone."""
    metrics, sink = Metrics(), Sink()
    fail_at = {2}

    def write(line: bytes) -> None:
        if sink.attempts + 1 in fail_at:
            fail_at.clear()
            raise OSError("full")
        sink(line)

    count(metrics, 1, "a")
    count(metrics, 2, "b")
    running = reporter(metrics, write, interval_s=0.001)
    running.start()
    sink.wait_for_attempts(2)
    running.close()
    assert sorted(line["Texts"] for line in sink.lines) == [1, 2]


def test_failing_gauge_does_not_end_the_reporter():
    """Whatever a watched part raises, the next interval is tried."""
    metrics, sink = Metrics(), Sink()
    is_broken = threading.Event()
    asked = threading.Event()

    def gauge() -> float:
        if not is_broken.is_set():
            asked.set()
            raise RuntimeError("closed")
        return 0.0

    metrics.watch("absa_results_pending", "…", gauge)
    count(metrics, 4)
    running = reporter(metrics, sink, interval_s=0.001)
    running.start()
    assert asked.wait(WAIT_S)
    is_broken.set()
    running.close()
    assert sink.total("Texts") == 4


def test_stdout_that_stands_still_does_not_hold_up_the_stop():
    """A reader that takes nothing costs the stop its limit, no more; counting goes on meanwhile."""
    metrics = Metrics()
    is_writing, release = threading.Event(), threading.Event()

    def write(_: bytes) -> None:
        is_writing.set()
        release.wait(WAIT_S)

    count(metrics, 1)
    running = reporter(metrics, write, interval_s=0.001)
    running.start()
    assert is_writing.wait(WAIT_S)
    count(metrics, 1)
    running.close(limit_s=0.01)
    assert not release.is_set()
    release.set()
    running.close()


PROGRAM = """
import os, sys
from absa_server.telemetry.emf import EmfFormat
from absa_server.telemetry.emf_reporter import EmfReporter
from absa_server.telemetry.prometheus import Metrics
metrics = Metrics()
metrics.record_results(texts=7, errors=0, polarities={})
running = EmfReporter(metrics.registry, EmfFormat(), interval_s=3600)
running.start()
running.close()
sys.stderr.write("ended")
"""


def test_lines_go_to_stdout():
    """One line, nothing before or after it."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["Texts"] == 7
    assert done.stdout.count("\n") == 1


def test_closed_stdout_ends_nothing():
    """A pipe that nobody reads is an error of the line alone."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", PROGRAM], stdout=writer, stderr=subprocess.PIPE, text=True, check=True)
    os.close(writer)
    assert "ended" in done.stderr
