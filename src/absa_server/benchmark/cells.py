"""What one cell of load came to: latency percentiles, rates, errors, costs. Pure arithmetic on a trace of requests."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from absa_server.benchmark.connections import CONNECTION_LOST, UNANSWERED
from absa_server.benchmark.load import Job, Trace
from absa_server.benchmark.process_tree import Usage

# A generator that is busier than this, or later than this, may have measured itself.
BUSY_GENERATOR_CORES = 0.8
LATE_GENERATOR_MS = 20.0


@dataclass(frozen=True, slots=True)
class Cell:
    """The figures of one cell. Latencies are of good answers to requests meant for the window, None without any.

    `offered_rps` is set in open loop, `concurrency` in closed loop. `errors` counts requests by status: a number,
    `connection` or `unanswered`. `in_flight` is the mean number of requests between intention and answer (Little's L).
    Server figures are None where its process is not known.
    """

    purpose: str
    offered_rps: float | None
    concurrency: int | None
    seconds: float
    requests: int
    throughput_rps: float
    throughput_texts_s: float
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    errors: dict[str, int]
    in_flight: float
    is_cut_short: bool
    late_p99_ms: float
    generator_cores: float
    generator_cpu_ms_per_request: float
    is_generator_limited: bool
    server_cpu_s_per_1000_texts: float | None
    server_cores: float | None

    @property
    def error_share(self) -> float:
        """Requests without a good answer, of all in the window."""
        return sum(self.errors.values()) / self.requests if self.requests else 1.0


def summarise(job: Job, trace: Trace, *, purpose: str, texts_per_request: int, usage: Usage | None) -> Cell:
    """The cell of `job`, whose `trace` was recorded while the server used `usage`."""
    # A timer may fire half a millisecond early: then the request counts from when it was really sent.
    start_s = np.minimum(trace.intended_s, trace.sent_s)
    is_good = (trace.status >= 200) & (trace.status < 300)
    in_window = (trace.intended_s >= 0) & (trace.intended_s < job.seconds)
    latency_ms = 1000 * (trace.done_s - start_s)[in_window & is_good]
    late_ms = 1000 * np.maximum(0.0, trace.sent_s - trace.intended_s)[in_window & np.isfinite(trace.sent_s)]
    finished = int(np.sum(is_good & (trace.done_s >= 0) & (trace.done_s < job.seconds)))
    late_p99_ms = float(np.percentile(late_ms, 99)) if len(late_ms) else 0.0
    generator_cores = trace.generator_cpu_s / max(trace.generator_wall_s, 1e-9)
    answered = int(np.sum(is_good)) * texts_per_request
    quantiles = dict(zip((50, 95, 99), _percentiles(latency_ms, (50, 95, 99)), strict=True))
    return Cell(
        purpose=purpose,
        offered_rps=job.rate_rps,
        concurrency=job.concurrency,
        seconds=job.seconds,
        requests=int(np.sum(in_window)),
        throughput_rps=finished / job.seconds,
        throughput_texts_s=finished * texts_per_request / job.seconds,
        mean_ms=float(np.mean(latency_ms)) if len(latency_ms) else None,
        p50_ms=quantiles[50],
        p95_ms=quantiles[95],
        p99_ms=quantiles[99],
        max_ms=float(np.max(latency_ms)) if len(latency_ms) else None,
        errors=_errors(trace, in_window & ~is_good),
        in_flight=_mean_in_flight(start_s, trace.done_s, job.seconds),
        is_cut_short=trace.is_cut_short,
        late_p99_ms=late_p99_ms,
        generator_cores=generator_cores,
        generator_cpu_ms_per_request=1000 * trace.generator_cpu_s / max(len(trace.status), 1),
        is_generator_limited=generator_cores > BUSY_GENERATOR_CORES or late_p99_ms > LATE_GENERATOR_MS,
        server_cpu_s_per_1000_texts=1000 * usage.cpu_s / answered if usage and answered else None,
        server_cores=usage.cpu_s / usage.wall_s if usage else None,
    )


def _percentiles(latency_ms: "np.typing.NDArray[np.float64]", which: tuple[int, ...]) -> list[float | None]:
    """Nearest rank from above: a percentile is a latency that was seen, never one between two."""
    if not len(latency_ms):
        return [None] * len(which)
    return [float(value) for value in np.percentile(latency_ms, which, method="inverted_cdf")]


def _errors(trace: Trace, which: "np.typing.NDArray[np.bool_]") -> dict[str, int]:
    names = {CONNECTION_LOST: "connection", UNANSWERED: "unanswered"}
    counted = Counter(trace.status[which].tolist())
    return {names.get(status, str(status)): count for status, count in sorted(counted.items())}


def _mean_in_flight(
    start_s: "np.typing.NDArray[np.float64]", done_s: "np.typing.NDArray[np.float64]", seconds: float
) -> float:
    inside = np.clip(done_s, 0, seconds) - np.clip(start_s, 0, seconds)
    return float(np.sum(inside)) / seconds
