"""A step of a load waits for a quiet moment, and not for ever."""

import threading

from absa_server.serving.courtesy import Courtesy


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
    Courtesy(lambda: False, clock=time.clock, sleep=time.sleep)()
    assert time.now_s == 0.0


def test_step_begins_in_the_first_quiet_moment() -> None:
    """Asked again every few milliseconds."""
    time = _Time()
    Courtesy(lambda: time.now_s < 0.1, clock=time.clock, sleep=time.sleep)()
    assert 0.1 <= time.now_s < 0.11


def test_step_begins_at_last_where_no_moment_comes() -> None:
    """A model that is busy all the time does not keep others from being loaded."""
    time = _Time()
    Courtesy(lambda: True, most_wait_s=0.25, clock=time.clock, sleep=time.sleep)()
    assert 0.25 <= time.now_s < 0.26


def test_threads_may_wait_side_by_side() -> None:
    """Loads of different models share one."""
    is_busy = threading.Event()
    is_busy.set()
    courtesy = Courtesy(is_busy.is_set, most_wait_s=30.0)
    threads = [threading.Thread(target=courtesy) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert all(thread.is_alive() for thread in threads)
    is_busy.clear()
    for thread in threads:
        thread.join(10.0)
    assert not any(thread.is_alive() for thread in threads)
