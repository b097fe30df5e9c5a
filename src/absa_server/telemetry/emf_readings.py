"""What the registry says of each CloudWatch metric, at one moment and between two. Knows no format and no clock."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from absa_server.telemetry.emf_metrics import EmfMetric

# By model's label (None: the server as a whole), then by metric.
Readings = Mapping[str | None, Mapping[EmfMetric, "float | Distribution"]]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Observations in classes: `counts[i]` lie in (bounds[i - 1], bounds[i]], the last above all bounds."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float

    @property
    def count(self) -> float:
        """All observations."""
        return sum(self.counts)

    def plus(self, other: "Distribution", sign: int = 1) -> "Distribution":
        """Both together; with `sign` -1 this one without the other. They have the same classes."""
        counts = tuple(one + sign * two for one, two in zip(self.counts, other.counts, strict=True))
        return Distribution(self.bounds, counts, self.sum + sign * other.sum)


def read(registry: CollectorRegistry, metrics: Iterable[EmfMetric]) -> Readings:
    """Every metric that the registry has a sample of. Changes nothing in it; may run beside a scrape."""
    families = {family.name: family for family in registry.collect()}
    readings: dict[str | None, dict[EmfMetric, float | Distribution]] = defaultdict(dict)
    for metric in metrics:
        if metric.family not in families:
            continue
        take = _distributions if metric.kind == "histogram" else _numbers
        for model, value in take(families[metric.family], metric).items():
            readings[model][metric] = value
    return readings


def since(now: Readings, before: Readings) -> Readings:
    """What was counted between two readings; what is no count (gauges) as it is now. Nothing that would be nothing.

    A gauge that has come back to zero is told once.
    """
    found: dict[str | None, dict[EmfMetric, float | Distribution]] = {}
    for model, values in now.items():
        old = before.get(model, {})
        changes = {metric: _change(metric, value, old.get(metric)) for metric, value in values.items()}
        told = {metric: change for metric, change in changes.items() if _is_told(metric, change, old.get(metric))}
        if told:
            found[model] = told
    return found


def _numbers(family: Metric, metric: EmfMetric) -> dict[str | None, float]:
    sums: dict[str | None, float] = defaultdict(float)
    for sample in family.samples:
        if metric.takes(sample.labels):
            sums[sample.labels["model"] if metric.is_of_model else None] += sample.value * metric.scale
    return sums


def _distributions(family: Metric, metric: EmfMetric) -> dict[str | None, Distribution]:
    """The series that the metric takes, those of one model added up."""
    series: dict[tuple[tuple[str, str], ...], tuple[dict[float, float], list[float]]] = {}
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        if not metric.takes(labels):
            continue
        buckets, total = series.setdefault(tuple(sorted(labels.items())), ({}, [0.0]))
        if sample.name.endswith("_bucket"):
            buckets[float(sample.labels["le"])] = sample.value
        elif sample.name.endswith("_sum"):
            total[0] = sample.value
    found: dict[str | None, Distribution] = {}
    for key, (buckets, total) in series.items():
        one = _distribution(buckets, total[0], metric.scale)
        model = dict(key)["model"] if metric.is_of_model else None
        found[model] = found[model].plus(one) if model in found else one
    return found


def _distribution(cumulative: Mapping[float, float], total: float, scale: float) -> Distribution:
    bounds = sorted(cumulative)
    below: Sequence[float] = [0.0, *(cumulative[bound] for bound in bounds)]
    counts = tuple(below[place + 1] - below[place] for place in range(len(bounds)))
    return Distribution(tuple(bound * scale for bound in bounds[:-1]), counts, total * scale)


def _change(
    metric: EmfMetric, value: "float | Distribution", old: "float | Distribution | None"
) -> "float | Distribution":
    if old is None or metric.kind == "gauge":
        return value
    if isinstance(value, Distribution):
        return value.plus(old, -1) if isinstance(old, Distribution) else value
    return value - old if isinstance(old, float | int) else value


def _is_told(metric: EmfMetric, change: "float | Distribution", old: "float | Distribution | None") -> bool:
    if isinstance(change, Distribution):
        return change.count > 0
    return change != 0 or (metric.kind == "gauge" and bool(old))
