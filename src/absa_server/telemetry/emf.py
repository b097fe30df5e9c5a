"""Lines in CloudWatch's embedded metric format (EMF), from what was counted in an interval. Knows no registry.

A distribution is written as CloudWatch's own collector writes one (awsemfexporter of the AWS Distro for OpenTelemetry):
an object of Values, Counts, Min, Max, Sum and Count. CloudWatch makes averages and percentiles of it. An array of all
the values would hold 100 at most, and cost more the more requests there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from absa_server.telemetry.emf_metrics import MODEL, NAMES, NAMESPACE, EmfMetric
from absa_server.telemetry.emf_readings import Distribution, Readings

# Of the values that stand for a class; sums and counts are written as they are.
_DIGITS = 6
EVENT = "event"


@dataclass(frozen=True, slots=True)
class EmfFormat:
    """Where the metrics go: a namespace, and dimensions that are the same in every line.

    Raises ValueError for a dimension whose name the line needs for something else.
    """

    namespace: str = NAMESPACE
    dimensions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        taken = sorted({EVENT, MODEL, *NAMES} & set(self.dimensions))
        if taken:
            raise ValueError(f"ABSA_EMF_DIMENSIONS: {', '.join(taken)}: the name of something else; choose another")

    def lines(self, readings: Readings, *, timestamp_ms: int) -> dict[str | None, bytes]:
        """For each model, and for the server as a whole (None), a line with its end."""
        return {model: self._line(model, values, timestamp_ms) for model, values in readings.items()}

    def _line(self, model: str | None, values: Mapping[EmfMetric, "float | Distribution"], timestamp_ms: int) -> bytes:
        dimensions = dict(self.dimensions) | ({} if model is None else {MODEL: model})
        directive = {
            "Namespace": self.namespace,
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": metric.name, "Unit": metric.unit} for metric in values],
        }
        document = {
            "_aws": {"Timestamp": timestamp_ms, "CloudWatchMetrics": [directive]},
            EVENT: "metrics",
            **dimensions,
            **{metric.name: _target(value) for metric, value in values.items()},
        }
        return orjson.dumps(document) + b"\n"


def _target(value: "float | Distribution") -> object:
    if not isinstance(value, Distribution):
        return _exact(value)
    places = [place for place, count in enumerate(value.counts) if count > 0]
    typical = _typical_values(value)
    return {
        "Values": [_short(typical[place]) for place in places],
        "Counts": [_exact(value.counts[place]) for place in places],
        "Min": _short(min(typical[place] for place in places)),
        "Max": _short(max(typical[place] for place in places)),
        "Sum": _exact(value.sum),
        "Count": _exact(value.count),
    }


def _typical_values(distribution: Distribution) -> list[float]:
    """One value for each class, inside it, such that all of them together give the sum.

    All lie at the same share of their class's width. The class above all bounds has no width: it takes what is left.
    """
    lows = (0.0, *distribution.bounds)
    highs = (*distribution.bounds, 2 * lows[-1])
    least = sum(count * low for count, low in zip(distribution.counts, lows, strict=True))
    widths = [high - low for low, high in zip(lows, highs, strict=True)]
    spread = sum(count * width for count, width in zip(distribution.counts, widths, strict=True))
    share = min(1.0, max(0.0, (distribution.sum - least) / spread)) if spread else 0.0
    values = [low + share * width for low, width in zip(lows, widths, strict=True)]
    if share == 1.0 and distribution.counts[-1]:
        rest = sum(count * value for count, value in zip(distribution.counts[:-1], values[:-1], strict=True))
        values[-1] = max(values[-1], (distribution.sum - rest) / distribution.counts[-1])
    return values


def _short(value: float) -> float | int:
    return _exact(float(f"{value:.{_DIGITS}g}"))


def _exact(value: float) -> float | int:
    """The number, rounded where floats stop being exact anyway; an integer without the `.0` that costs two bytes."""
    rounded = float(f"{value:.12g}")
    return int(rounded) if rounded.is_integer() else rounded
