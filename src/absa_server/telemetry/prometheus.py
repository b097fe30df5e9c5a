"""The server's metrics, in one registry that `GET /metrics` renders. Units are in the names."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from absa_server.telemetry.model_labels import ONE_MODEL, ModelLabels

# From one short text on a fast engine to the platform's own limit of 60 s.
_LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

CONTENT_TYPE = CONTENT_TYPE_LATEST

# The time at which each counter began doubles the page and nobody here asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]


class _WatchedCount(Collector):
    """A counter whose value is read when it is collected."""

    def __init__(self, name: str, text: str, read: Callable[[], float]) -> None:
        self._name, self._text, self._read = name, text, read

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        yield CounterMetricFamily(self._name, self._text, self._read())


class Metrics:
    """One sink for all of the server. Later parts register theirs in the same `registry`."""

    def __init__(self, *, model_limit: int = 20) -> None:
        """`model_limit`: models that are told apart; the rest is `other` (`ModelLabels`)."""
        self.registry = CollectorRegistry()
        self.models = ModelLabels(model_limit)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = self._counter("absa_requests_total", "Requests answered", ["route", "status"])
        self._seconds = Histogram(
            "absa_request_seconds",
            "Time from the request's first byte to its answer, in seconds",
            ["route"],
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._answers = self._counter("absa_answers_total", "Requests that a model has answered", ["model"])
        self._texts = self._counter("absa_texts_total", "Texts analysed", ["model"])
        self._aspects = self._counter("absa_aspects_total", "Aspects answered, by polarity", ["model", "polarity"])
        self._record_errors = self._counter(
            "absa_record_errors_total", "Records answered with an error in place", ["model"]
        )

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge whose value is asked for when metrics are rendered."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def watch_count(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A counter that somebody else counts; it is asked for when metrics are rendered."""
        self.registry.register(_WatchedCount(name, text, read))

    def record_request(self, route: str, status: int, seconds: float) -> None:
        """One answered request. `route` is a path template, never a caller's own path."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def record_results(self, *, texts: int, errors: int, polarities: Mapping[str, int], model: str = ONE_MODEL) -> None:
        """The content of one answer of `model`; `polarities` counts aspects, as "none" those that were not rated."""
        label = self.models.of(model)
        self._answers.labels(label).inc()
        self._texts.labels(label).inc(texts)
        self._record_errors.labels(label).inc(errors)
        for polarity, count in polarities.items():
            self._aspects.labels(label, polarity).inc(count)

    def render(self) -> bytes:
        """The registry in Prometheus' text format."""
        return generate_latest(self.registry)
