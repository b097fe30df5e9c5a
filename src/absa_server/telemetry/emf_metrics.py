"""The container's metrics in CloudWatch: which there are, and from what of the registry each of them is made.

The one list: the lines are written from it, the dashboard is held against it, docs/metrics.md repeats it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

NAMESPACE = "ABSA"
# The dimension of what is counted for each model.
MODEL = "Model"

Kind = Literal["count", "gauge", "histogram"]
Unit = Literal["Count", "Milliseconds"]

_INVOKED = frozenset({"/invocations", "/models/{name}/invoke"})
_REFUSED = frozenset({"429", "503", "507"})
_POLARITIES = frozenset({"positive", "negative", "neutral", "conflict", "none"})


@dataclass(frozen=True, slots=True, eq=False)
class EmfMetric:
    """One metric: what `family` counts in samples whose labels have a value of `where` and none of `unless`.

    `family` is Prometheus' name without `_total`; its values are multiplied by `scale`. With `is_of_model` there is one
    for each model. Metrics are equal only to themselves.
    """

    name: str
    unit: Unit
    family: str
    meaning: str
    kind: Kind = "count"
    scale: float = 1
    is_of_model: bool = False
    where: Mapping[str, Collection[str]] = field(default_factory=dict)
    unless: Mapping[str, Collection[str]] = field(default_factory=dict)

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Whether a sample with these labels is counted in it."""
        return all(labels.get(name) in values for name, values in self.where.items()) and not any(
            labels.get(name) in values for name, values in self.unless.items()
        )


def _aspects(name: str, polarity: str, meaning: str) -> EmfMetric:
    return EmfMetric(name, "Count", "absa_aspects", meaning, is_of_model=True, where={"polarity": {polarity}})


OF_MODELS = (
    EmfMetric("Answers", "Count", "absa_answers", "requests that the model has answered", is_of_model=True),
    EmfMetric("Texts", "Count", "absa_texts", "texts analysed", is_of_model=True),
    EmfMetric(
        "RecordErrors", "Count", "absa_record_errors", "records answered with an error in place", is_of_model=True
    ),
    EmfMetric("Aspects", "Count", "absa_aspects", "aspects answered", is_of_model=True),
    _aspects("AspectsPositive", "positive", "of these, positive; their share of Aspects shows drift, as do the next"),
    _aspects("AspectsNegative", "negative", "negative"),
    _aspects("AspectsNeutral", "neutral", "neutral"),
    _aspects("AspectsConflict", "conflict", "both at once"),
    _aspects("AspectsUnrated", "none", "found by a container that rates none"),
    EmfMetric(
        "AspectsOther", "Count", "absa_aspects", "with a label of the model's own, such as an emotion",
        is_of_model=True, unless={"polarity": _POLARITIES},
    ),
    EmfMetric("Tokens", "Count", "absa_batch_tokens", "tokens run", is_of_model=True, where={"kind": {"own"}}),
    EmfMetric(
        "PaddingTokens", "Count", "absa_batch_tokens", "padding run with them", is_of_model=True,
        where={"kind": {"padding"}},
    ),
    EmfMetric(
        "QueueWaitMs", "Milliseconds", "absa_batch_wait_seconds", "wait of each batch's longest-waiting row",
        "histogram", 1000, is_of_model=True,
    ),
    EmfMetric("BatchSize", "Count", "absa_batch_rows", "rows of each forward pass", "histogram", is_of_model=True),
    EmfMetric(
        "InferenceMs", "Milliseconds", "absa_batch_inference_seconds", "time of each forward pass", "histogram", 1000,
        is_of_model=True,
    ),
    EmfMetric("InferenceFailures", "Count", "absa_batches_failed", "forward passes that failed", is_of_model=True),
)  # fmt: skip

OF_THE_SERVER = (
    EmfMetric(
        "Requests", "Count", "absa_requests", "invocations answered, refused ones too", where={"route": _INVOKED}
    ),
    EmfMetric(
        "RequestMs", "Milliseconds", "absa_request_seconds", "time of each, from its first byte to its answer",
        "histogram", 1000, where={"route": _INVOKED},
    ),
    EmfMetric(
        "Rejected", "Count", "absa_requests", "of these, refused for want of room or of a model: 429, 503, 507",
        where={"route": _INVOKED, "status": _REFUSED},
    ),
    EmfMetric(
        "Failed", "Count", "absa_requests", "of these, failed by the server: 500",
        where={"route": _INVOKED, "status": {"500"}},
    ),
    EmfMetric("ModelLoads", "Count", "absa_models_loads", "models loaded"),
    EmfMetric("ModelLoadMs", "Milliseconds", "absa_models_load_seconds", "time spent in that, in sum", scale=1000),
    EmfMetric("Evictions", "Count", "absa_models_evictions", "models that the server itself took out of memory"),
    EmfMetric("ModelUnloads", "Count", "absa_models_unloads", "models that the platform unloaded"),
    EmfMetric("ModelsLoaded", "Count", "absa_models_loaded", "models in memory at the line's time", "gauge"),
    EmfMetric("ResultsWritten", "Count", "absa_results_written", "answers of texts put into S3"),
    EmfMetric("ResultsDropped", "Count", "absa_results_dropped", "answers sent and not kept"),
    EmfMetric("ResultsPending", "Count", "absa_results_pending", "answers not yet in S3 at the line's time", "gauge"),
    EmfMetric("UploadFailures", "Count", "absa_results_upload_failures", "uploads to S3 that failed"),
)  # fmt: skip

METRICS = OF_MODELS + OF_THE_SERVER
NAMES = frozenset(metric.name for metric in METRICS)
