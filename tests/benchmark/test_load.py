"""Open-loop and closed-loop load against real sockets: what is sent, and how each end of a request is counted."""

import threading
from collections import Counter

import numpy as np

from absa_server.benchmark.load import Job, run_job
from absa_server.benchmark.texts import Target, build_requests

from .scripted_http import answer, serving


def job(target: Target, **changes: object) -> Job:
    given = {"lead_in_s": 0.0, "seconds": 0.3, "drain_s": 10.0} | changes
    return Job(target=target, **given)  # type: ignore[arg-type]


def run(target: Target, **changes: object):
    return run_job(job(target, **changes), build_requests(target, ["one", "two"], texts_per_request=1))


def test_open_loop_sends_while_nothing_is_answered():
    """Requests go out at their moments though no answer has come: here the fifth releases all others."""
    everybody = threading.Barrier(5)

    def behave(number, connection):
        if number <= 5:
            everybody.wait(10)
        answer(connection)

    with serving(behave) as target:
        trace = run(target, rate_rps=100.0)
    assert len(trace.status) >= 5
    assert set(trace.status.tolist()) == {200}


def test_closed_loop_keeps_as_many_requests_as_clients():
    """Two clients never have three requests under way, and send on when they are answered."""
    lock, under_way, most, both = threading.Lock(), 0, 0, threading.Barrier(2)

    def behave(number, connection):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        if number <= 2:
            both.wait(10)
        with lock:
            under_way -= 1
        answer(connection)

    with serving(behave) as target:
        trace = run(target, concurrency=2)
    assert most == 2
    assert len(trace.status) > 2


def test_arrivals_repeat_with_the_seed_and_have_the_rate():
    """The same seed gives the same moments; another seed others; their number is Poisson around rate times length."""

    def moments(seed: int) -> list[float]:
        with serving(lambda _, connection: answer(connection)) as target:
            trace = run(target, rate_rps=400.0, seed=seed)
        return (trace.intended_s - trace.intended_s[0]).round(6).tolist()

    first = moments(1)
    assert first == moments(1)
    assert first != moments(2)
    assert 120 - 5 * 11 < len(first) < 120 + 5 * 11


def test_answers_are_counted_by_status():
    """Refusals are kept as what they are."""

    def behave(number, connection):
        answer(connection, "429 Too Many Requests" if number % 2 else "200 OK")

    with serving(behave) as target:
        trace = run(target, rate_rps=100.0)
    counted = Counter(trace.status.tolist())
    assert set(counted) == {200, 429}
    assert abs(counted[200] - counted[429]) <= 1


def test_broken_connection_is_status_0():
    """A server that hangs up in the middle of an answer has not answered."""

    def behave(_, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")
        connection.close()

    with serving(behave) as target:
        trace = run(target, rate_rps=50.0)
    assert set(trace.status.tolist()) == {0}


def test_nobody_listening_is_status_0():
    """A refused connection is an error of each request, not of the benchmark."""
    with serving(lambda *_: None) as target:
        pass
    assert set(run(target, rate_rps=50.0).status.tolist()) == {0}


def test_no_http_is_status_0():
    """What is no HTTP ends the connection and the request."""
    with serving(lambda _, connection: connection.sendall(b"hello\r\n\r\n")) as target:
        assert set(run(target, rate_rps=50.0).status.tolist()) == {0}


def test_silence_is_unanswered_and_the_drain_is_bounded():
    """What was not answered until the end of the drain has status -1 and no time."""
    with serving(lambda *_: None) as target:
        trace = run(target, rate_rps=50.0, drain_s=0.1)
    assert set(trace.status.tolist()) == {-1}
    assert np.isinf(trace.done_s).all()


def test_idle_connection_closed_by_the_server_is_no_error():
    """A server may close a connection after an answer; the next request on it is sent again, as HTTP clients do."""

    def behave(_, connection):
        answer(connection)
        connection.close()

    with serving(behave) as target:
        assert set(run(target, concurrency=1).status.tolist()) == {200}


def test_announced_close_is_obeyed():
    """`Connection: close` means a new connection for the next request."""
    seen = set()

    def behave(_, connection):
        seen.add(connection.getpeername())
        answer(connection, headers="Connection: close\r\n")

    with serving(behave) as target:
        trace = run(target, rate_rps=50.0)
    assert set(trace.status.tolist()) == {200}
    assert len(seen) == len(trace.status)


def test_requests_beyond_the_connections_wait_and_are_all_answered():
    """At the limit of connections requests queue in the client, from whose intention their latency counts."""
    with serving(lambda _, connection: answer(connection)) as target:
        trace = run(target, rate_rps=300.0, max_connections=1)
    assert set(trace.status.tolist()) == {200}


def test_overload_cuts_the_cell_short(monkeypatch):
    """Too many unanswered requests end the cell: it would only say again that the server is overloaded."""
    monkeypatch.setattr("absa_server.benchmark.load.MAX_UNANSWERED", 5)
    with serving(lambda *_: None) as target:
        trace = run(target, rate_rps=200.0, drain_s=0.1)
    assert trace.is_cut_short
    assert len(trace.status) == 6


def test_generator_counts_what_it_uses():
    """CPU and wall time of the generator come with the trace."""
    with serving(lambda _, connection: answer(connection)) as target:
        trace = run(target, rate_rps=200.0)
    assert 0 < trace.generator_cpu_s < trace.generator_wall_s * 1.5
