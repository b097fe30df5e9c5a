"""Engines that rest: which, when, and never one that works."""

from dataclasses import dataclass, field

from absa_server.engines.idle import IdleEngines

IDLE_S, PAUSE_S = 2.0, 0.5


@dataclass(eq=False)
class Sleeper:
    """Notes when it was asked to rest."""

    clock: list[float]
    rests: list[float] = field(default_factory=list)

    def rest(self) -> None:
        self.rests.append(self.clock[0])


def _idle_engines(kept: int = 1) -> tuple[IdleEngines, list[float]]:
    now = [0.0]
    return IdleEngines(kept=kept, idle_s=IDLE_S, pause_s=PAUSE_S, clock=lambda: now[0]), now


def test_engine_rests_once_after_its_idle_time() -> None:
    """On both sides of the limit; and again only after it has worked again."""
    idle, now = _idle_engines()
    quiet, busy = Sleeper(now), Sleeper(now)
    idle.used(quiet)
    for now[0] in (1.0, 1.9, 2.0, 3.0, 9.0):
        idle.used(busy)
    assert quiet.rests == [2.0]
    idle.used(quiet)
    for now[0] in (10.0, 11.0, 12.0):
        idle.used(busy)
    assert quiet.rests == [2.0, 11.0]
    assert busy.rests == []


def test_engine_alone_never_rests() -> None:
    """Its own call is no reason to give back what that call has just used, however long ago the one before was."""
    idle, now = _idle_engines()
    only = Sleeper(now)
    for now[0] in (0.0, 100.0, 200.0):
        idle.used(only)
    assert only.rests == []


def test_engines_that_worked_last_never_rest() -> None:
    """Of three the idlest, of two none: a server of one model keeps its buffers between rare requests."""
    idle, now = _idle_engines(kept=2)
    first, second, third = (Sleeper(now) for _ in range(3))
    for now[0] in (0.0, 10.0, 20.0):
        idle.used(first)
        idle.used(second)
    assert first.rests == second.rests == []
    now[0] = 30.0
    idle.used(third)
    assert (first.rests, second.rests, third.rests) == ([30.0], [], [])


def test_engines_rest_one_after_the_other() -> None:
    """The idlest first, and a pause between two: the caller who is kept from its answer is kept shortly."""
    idle, now = _idle_engines()
    sleepers = [Sleeper(now) for _ in range(3)]
    for now[0], sleeper in zip((0.0, 0.1, 0.2), sleepers, strict=True):
        idle.used(sleeper)
    busy = Sleeper(now)
    for now[0] in (5.0, 5.1, 5.4, 5.5, 5.6, 6.0, 6.5):
        idle.used(busy)
    assert [sleeper.rests for sleeper in sleepers] == [[5.0], [5.5], [6.0]]


def test_closed_engine_is_not_asked() -> None:
    """Whether it had worked or not."""
    idle, now = _idle_engines()
    closed, busy = Sleeper(now), Sleeper(now)
    idle.used(closed)
    idle.forget(closed)
    idle.forget(Sleeper(now))
    now[0] = 10.0
    idle.used(busy)
    assert closed.rests == []


def test_all_rest_at_once_when_told() -> None:
    """Those that have worked since they last rested."""
    idle, now = _idle_engines()
    sleepers = [Sleeper(now) for _ in range(3)]
    for sleeper in sleepers:
        idle.used(sleeper)
    idle.rest_all()
    idle.rest_all()
    assert [sleeper.rests for sleeper in sleepers] == [[0.0]] * 3
