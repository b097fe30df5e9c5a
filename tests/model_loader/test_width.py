"""How many requests a store is asked by, after how long its bytes were waited for."""

import contextlib
from types import SimpleNamespace

import pytest

from model_loader import width as module
from model_loader.width import Width, Window


@pytest.mark.parametrize(
    ("now", "waiting", "then"),
    [(4, 0.34, 8), (8, 0.34, 8), (1, 1.0, 2), (4, 0.33, 4), (4, 0.02, 4), (4, 0.0, 3), (1, 0.0, 1)],
)
def test_width_follows_the_waiting(now: int, waiting: float, then: int) -> None:
    """Doubled above a third of the time, one less below 2 %, unchanged on and between both limits; 1 to the most."""
    width = Width(8)
    width.now = now
    width.learn(waiting)
    assert width.now == then


def test_window_counts_its_own_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first bytes on; the next window begins where one ends."""
    now = 0.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(module, "_WINDOW_BYTES", 10)
    window = Window()

    def after(seconds: float, size: int, *, waited: bool = False) -> float | None:
        nonlocal now
        with window.waiting() if waited else contextlib.nullcontext():
            now += seconds
        return window.add(size)

    assert after(5.0, 99, waited=True) is None, "the first bytes"
    assert after(0.3, 9) is None
    assert after(0.1, 1, waited=True) == pytest.approx(0.25)
    assert after(0.05, 9) is None
    assert after(0.05, 1, waited=True) == pytest.approx(0.5)
    assert after(0.05, 1) is None
    assert after(0.1, 1, waited=True) is None, "not longer than a pause"
    assert after(0.01, 1, waited=True) == pytest.approx(0.11 / 0.16), "soon, since it was long"
    assert after(0.5, 1) is None
    assert after(0.2, 1, waited=True) is None, "long, and a small share"
