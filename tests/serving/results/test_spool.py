"""Spool files: bounded, whole, and never lost with the process that wrote them."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from absa_server.serving.results import spool as module
from absa_server.serving.results.spool import Spool, SpoolFull, SpoolLimits, hour_of

LINE = b'{"n":1}\n'
LARGE = SpoolLimits(1 << 20)


class Clock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def lines_in(folder: Path) -> list[bytes]:
    return [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines(keepends=True)]


def test_append_makes_lines_readable_at_once(tmp_path: Path):
    """What append returned for is in a file, with no close and no flush."""
    spool = Spool(tmp_path, LARGE)
    spool.append([LINE, LINE])
    assert lines_in(tmp_path) == [LINE, LINE]
    assert (spool.pending_bytes, spool.pending_lines) == (16, 2)


@pytest.mark.parametrize(("more", "files"), [(0, 1), (1, 2)])
def test_file_is_closed_when_the_next_piece_would_pass_its_size(tmp_path: Path, more: int, files: int):
    """A file takes exactly file_bytes, and not one more."""
    spool = Spool(tmp_path, SpoolLimits(1 << 20, file_bytes=10))
    spool.append([b"1234\n"])
    spool.append([b"1234" + b"x" * more + b"\n"])
    assert len(list(tmp_path.glob("*.jsonl"))) == files


@pytest.mark.parametrize(("age_s", "complete"), [(59.9, 0), (60.0, 1)])
def test_file_is_complete_when_it_is_old_enough(tmp_path: Path, age_s: float, complete: int):
    """A file waits for its age and no longer."""
    clock = Clock()
    spool = Spool(tmp_path, LARGE, clock)
    spool.append([LINE])
    clock.now += age_s
    assert len(spool.complete_files()) == complete


def test_hours_do_not_share_a_file(tmp_path: Path):
    """A line written in the next hour begins a new file, named by its own hour."""
    clock = Clock(1_800_003_599.0 - 1_800_000_000 % 3600)
    spool = Spool(tmp_path, LARGE, clock)
    spool.append([LINE])
    clock.now += 2
    spool.append([LINE])
    hours = [hour_of(path) for path in spool.complete_files(close_open=True)]
    assert len(set(hours)) == 2


@pytest.mark.parametrize(("total", "fits"), [(16, True), (15, False)])
def test_spool_takes_exactly_its_limit(tmp_path: Path, total: int, fits: bool):
    """The limit is a limit on the sum of open and complete files, and a refused piece leaves nothing."""
    spool = Spool(tmp_path, SpoolLimits(total, file_bytes=8))
    spool.append([LINE])
    if fits:
        spool.append([LINE])
    else:
        with pytest.raises(SpoolFull):
            spool.append([LINE])
    assert len(lines_in(tmp_path)) == 1 + fits


def test_removed_files_make_room(tmp_path: Path):
    """What was taken away no longer counts."""
    spool = Spool(tmp_path, SpoolLimits(8))
    spool.append([LINE])
    for path in spool.complete_files(close_open=True):
        spool.remove(path)
    spool.append([LINE])
    assert spool.pending_lines == 1


def test_close_leaves_lines_for_the_next_process(tmp_path: Path):
    """A closed spool's lines are complete files of the spool that is opened after it."""
    first = Spool(tmp_path, LARGE)
    first.append([LINE])
    first.close()
    second = Spool(tmp_path, LARGE)
    assert [path.read_bytes() for path in second.complete_files()] == [LINE]
    assert second.pending_lines == 1


def test_half_a_line_of_a_dead_writer_is_cut_away(tmp_path: Path):
    """Only whole lines are adopted: the half one was never acknowledged."""
    (tmp_path / "open-20260101T00-dead.jsonl").write_bytes(LINE + b'{"n":')
    (tmp_path / "open-20260101T00-empty.jsonl").write_bytes(b'{"n"')
    spool = Spool(tmp_path, LARGE)
    assert [(path.name, path.read_bytes()) for path in spool.complete_files()] == [("20260101T00-dead.jsonl", LINE)]
    assert lines_in(tmp_path) == [LINE]


def test_file_of_a_living_writer_is_left_alone(tmp_path: Path):
    """Another spool over the same folder does not take the file that is being written."""
    first = Spool(tmp_path, LARGE)
    first.append([LINE])
    assert Spool(tmp_path, LARGE).complete_files() == []
    first.append([LINE])
    assert lines_in(tmp_path) == [LINE, LINE]


KILLED = """
import sys
from pathlib import Path
from absa_server.serving.results.spool import Spool, SpoolLimits
spool = Spool(Path(sys.argv[1]), SpoolLimits(1 << 24, file_bytes=500))
n = 0
while True:
    spool.append([b'{"n":%d}\\n' % n])
    print(n, flush=True)
    n += 1
"""


def test_no_acknowledged_line_is_lost_by_sigkill(tmp_path: Path):
    """Every line whose append returned before the kill is found by the next process, once and in order."""
    writer = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(500)][-1]
    writer.kill()
    writer.wait()
    acknowledged = max([acknowledged, *(int(line) for line in writer.stdout.read().split(b"\n") if line)])
    writer.stdout.close()
    spool = Spool(tmp_path, SpoolLimits(1 << 24))
    found = sorted(int(line[5:-1]) for path in spool.complete_files() for line in path.read_bytes().splitlines())
    assert found == list(range(len(found)))
    assert len(found) > acknowledged


def test_writers_of_many_threads_lose_nothing(tmp_path: Path):
    """Lines of eight threads are all there, each whole."""
    spool = Spool(tmp_path, SpoolLimits(1 << 20, file_bytes=300))
    threads = [
        threading.Thread(target=lambda n=n: [spool.append([b"%d-%d\n" % (n, i)]) for i in range(100)]) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {line for path in spool.complete_files(close_open=True) for line in path.read_bytes().splitlines()}
    assert found == {b"%d-%d" % (n, i) for n in range(8) for i in range(100)}


def test_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A write that fails half-way is undone, and the next one begins a fresh line."""
    spool = Spool(tmp_path, LARGE)
    spool.append([LINE])
    real, calls = module.os.write, []

    def write(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) == 1:
            return real(descriptor, data[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "write", write)
    with pytest.raises(OSError, match="No space"):
        spool.append([LINE])
    monkeypatch.undo()
    spool.append([LINE])
    assert lines_in(tmp_path) == [LINE, LINE]
