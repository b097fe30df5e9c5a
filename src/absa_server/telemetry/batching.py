"""What the batcher does, as metrics: one observation a batch, never one a row. Knows no queue and no engine."""

from prometheus_client import Counter, Histogram

from absa_server.telemetry.model_labels import ONE_MODEL
from absa_server.telemetry.prometheus import Metrics

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class BatchMetrics:
    """Thread-safe."""

    def __init__(self, metrics: Metrics) -> None:
        registry = metrics.registry
        self._models = metrics.models
        self._wait = Histogram(
            "absa_batch_wait_seconds",
            "Time that a batch's longest-waiting row waited for its forward pass, in seconds",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._infer = Histogram(
            "absa_batch_inference_seconds",
            "Time of a forward pass, in seconds",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._rows = Histogram("absa_batch_rows", "Rows of a forward pass", ["model"], buckets=_ROWS, registry=registry)
        self._tokens = Counter(
            "absa_batch_tokens_total",
            "Tokens run, the rows' own and their padding",
            ["model", "kind"],
            registry=registry,
        )
        self._saved = Counter(
            "absa_rows_not_run_total",
            "Rows not run: identical to one in flight, or wanted no more",
            ["reason"],
            registry=registry,
        )
        self._failed = Counter("absa_batches_failed_total", "Forward passes that failed", ["model"], registry=registry)
        self._deduplicated, self._dropped = self._saved.labels("identical"), self._saved.labels("dropped")

    def record_batch(
        self,
        *,
        rows: int,
        tokens: int,
        padded_tokens: int,
        wait_s: float,
        inference_s: float,
        is_failed: bool,
        model: str = ONE_MODEL,
    ) -> None:
        """One forward pass for `model`."""
        label = self._models.of(model)
        self._rows.labels(label).observe(rows)
        self._wait.labels(label).observe(wait_s)
        self._infer.labels(label).observe(inference_s)
        self._tokens.labels(label, "own").inc(tokens)
        self._tokens.labels(label, "padding").inc(padded_tokens - tokens)
        if is_failed:
            self._failed.labels(label).inc()

    def record_saved(self, *, deduplicated: int, dropped: int) -> None:
        """Rows that were asked for and not run."""
        self._deduplicated.inc(deduplicated)
        self._dropped.inc(dropped)
