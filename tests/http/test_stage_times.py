"""The stopwatch of a request."""

from absa_server.http.stage_times import StageTimes


def test_header_tells_each_stage_in_milliseconds():
    """Server-Timing lists the stages in order, and the total is their sum."""
    readings = iter([10.0, 10.001, 10.0035])
    times = StageTimes(lambda: next(readings))
    times.end("read")
    times.end("predict")
    assert times.header() == "read;dur=1.0, predict;dur=2.5"
    assert abs(times.total_s - 0.0035) < 1e-9
