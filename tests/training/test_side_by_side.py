"""Jobs in processes of their own: heard of, waited for, and ended when one fails."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from absa_server.training.errors import TrainingError
from absa_server.training.side_by_side import Report, run_side_by_side


def count(name: str, report: Report) -> None:
    for done in range(1, 4):
        report(name, done, 3)


def fail(report: Report) -> None:
    raise ValueError("no such thing")


def be_killed(report: Report) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def never_end(pid_file: Path, report: Report) -> None:
    pid_file.write_text(str(os.getpid()))
    while True:
        time.sleep(0.01)


def test_every_job_is_heard_to_its_end():
    """Both jobs' progress arrives in order, and the call returns when both are done."""
    heard: list[tuple[str, int, int]] = []
    run_side_by_side({"a": partial(count, "a"), "b": partial(count, "b")}, lambda *one: heard.append(one))
    assert [one for one in heard if one[0] == "a"] == [("a", 1, 3), ("a", 2, 3), ("a", 3, 3)]
    assert [one for one in heard if one[0] == "b"] == [("b", 1, 3), ("b", 2, 3), ("b", 3, 3)]


@pytest.mark.parametrize(
    ("job", "message"), [(fail, "the a model failed: ValueError: no such thing"), (be_killed, "exit code -9")]
)
def test_failure_of_one_ends_the_others(job, message: str, tmp_path: Path):
    """A job that raises, or whose process is killed, is told, and nobody is left running."""
    pid_file = tmp_path / "pid"
    with pytest.raises(TrainingError, match=message):
        run_side_by_side({"a": job, "b": partial(never_end, pid_file)}, lambda *_: None)
    if pid_file.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid_file.read_text()), 0)
