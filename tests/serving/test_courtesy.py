"""A step of a load waits for a quiet moment, and not for ever; and which loads do."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from absa_server import assembly
from absa_server.serving.courtesy import MOST_WAIT_S, MOST_WAIT_TO_CLOSE_S, Courtesy
from absa_server.settings import read_settings


class _Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_nobody_waits_where_nothing_is_worked_on() -> None:
    """A load alone is not slower for its manners."""
    time = _Time()
    courtesy = Courtesy(lambda: False, clock=time.clock, sleep=time.sleep)
    courtesy.before_step()
    courtesy.before_closing()
    assert time.now_s == 0.0


def test_step_begins_in_the_first_quiet_moment() -> None:
    """Asked again every few milliseconds."""
    time = _Time()
    Courtesy(lambda: time.now_s < 0.1, clock=time.clock, sleep=time.sleep).before_step()
    assert 0.1 <= time.now_s < 0.11


def test_step_begins_at_last_where_no_moment_comes() -> None:
    """A model that is busy all the time does not keep others from being loaded; many may leave before one load."""
    time = _Time()
    courtesy = Courtesy(lambda: True, clock=time.clock, sleep=time.sleep)
    courtesy.before_step()
    assert MOST_WAIT_S <= time.now_s < MOST_WAIT_S + 0.01
    begun_s = time.now_s
    courtesy.before_closing()
    assert MOST_WAIT_TO_CLOSE_S <= time.now_s - begun_s < MOST_WAIT_TO_CLOSE_S + 0.01


def test_threads_may_wait_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads of different models share one."""
    monkeypatch.setattr("absa_server.serving.courtesy.MOST_WAIT_S", 30.0)
    is_busy = threading.Event()
    is_busy.set()
    courtesy = Courtesy(is_busy.is_set)
    threads = [threading.Thread(target=courtesy.before_step, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert all(thread.is_alive() for thread in threads)
    is_busy.clear()
    for thread in threads:
        thread.join(10.0)
    assert not any(thread.is_alive() for thread in threads)


@contextmanager
def _assembled(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Iterator[tuple[assembly.Parts, list[object]]]:
    """A server's parts, and the courtesy of each load that they begin; nothing is loaded."""
    told: list[object] = []

    def load(*_: object, courtesy: object = None, **__: object) -> None:
        told.append(courtesy)

    monkeypatch.setattr(assembly, "load_model", load)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    parts = assembly.assemble(read_settings(), lambda *_: pytest.fail("no engine is loaded"))
    yield parts, told
    parts.service.close()


def test_loads_with_traffic_beside_are_polite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a store and of a multi-model endpoint give way to the server's own requests."""
    variables = {"ABSA_CACHE_DIR": str(tmp_path / "cache")}
    with _assembled(monkeypatch, ABSA_MODEL_STORE=str(tmp_path), **variables) as (parts, told):
        assert parts.store is not None
        parts.store.loader._load_folder(tmp_path)
        assert isinstance(told[0], Courtesy)
        assert told[0]._is_busy() is parts.service.is_busy is False
    monkeypatch.delenv("ABSA_MODEL_STORE")
    with _assembled(monkeypatch, SAGEMAKER_MULTI_MODEL="true", **variables) as (parts, told):
        assert parts.registry is not None
        parts.registry._load(tmp_path)
        assert isinstance(told[0], Courtesy)


def test_load_of_the_only_model_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is served before it."""
    with _assembled(monkeypatch, ABSA_MODEL_DIR=str(tmp_path), ABSA_CACHE_DIR=str(tmp_path / "cache")) as (parts, told):
        assert parts.slot._load is not None
        parts.slot._load()
        assert told == [None]
