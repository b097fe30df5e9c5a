"""Lines for CloudWatch, from a registry that was counted into."""

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.telemetry.batching import BatchMetrics
from absa_server.telemetry.emf import EmfFormat
from absa_server.telemetry.emf_metrics import METRICS, NAMES, OF_MODELS, OF_THE_SERVER
from absa_server.telemetry.emf_readings import read, since
from absa_server.telemetry.prometheus import Metrics

from .emf_rules import check_line

NOW_MS = 1_700_000_000_000


def counted() -> tuple[Metrics, BatchMetrics]:
    metrics = Metrics()
    return metrics, BatchMetrics(metrics)


def documents(metrics: Metrics, before=None, emf: EmfFormat | None = None):
    readings = since(read(metrics.registry, METRICS), before or {})
    lines = (emf or EmfFormat()).lines(readings, timestamp_ms=NOW_MS)
    return {model: check_line(line) for model, line in lines.items()}


def run_batch(batches: BatchMetrics, *, model: str = "model", wait_s: float = 0.004, inference_s: float = 0.02, rows=4):
    batches.record_batch(
        rows=rows, tokens=90, padded_tokens=100, wait_s=wait_s, inference_s=inference_s, is_failed=False, model=model
    )


def test_line_has_the_numbers_of_the_registry():
    """Counters as they are, seconds as milliseconds, under the names of the one list."""
    metrics, batches = counted()
    metrics.record_results(texts=3, errors=1, polarities={"positive": 2, "none": 1, "joy": 4})
    run_batch(batches)
    line = documents(metrics)["model"]
    wanted = {"Answers": 1, "Texts": 3, "RecordErrors": 1, "Aspects": 7, "AspectsPositive": 2, "AspectsUnrated": 1}
    wanted |= {"AspectsOther": 4, "Tokens": 90, "PaddingTokens": 10, "Model": "model", "event": "metrics"}
    assert {name: line[name] for name in wanted} == wanted
    assert line["QueueWaitMs"] == {"Values": [4], "Counts": [1], "Min": 4, "Max": 4, "Sum": 4, "Count": 1}
    assert line["InferenceMs"]["Sum"] == 20
    assert line["BatchSize"]["Sum"] == 4
    assert line["_aws"]["Timestamp"] == NOW_MS


def test_models_have_lines_of_their_own():
    """Two models are two lines, and what is nobody's is in a third, without the model's dimension."""
    metrics, _ = counted()
    for model, texts in (("a", 1), ("b", 2)):
        metrics.record_results(texts=texts, errors=0, polarities={}, model=model)
    metrics.record_request("/models/{name}/invoke", 200, 0.1)
    found = documents(metrics, emf=EmfFormat("Mine", {"Endpoint": "absa"}))
    assert {model: line.get("Texts") for model, line in found.items()} == {"a": 1, "b": 2, None: None}
    directives = {model: line["_aws"]["CloudWatchMetrics"][0] for model, line in found.items()}
    assert directives["a"]["Dimensions"] == [["Endpoint", "Model"]]
    assert directives[None]["Dimensions"] == [["Endpoint"]]
    assert directives["a"]["Namespace"] == "Mine"


def test_requests_are_invocations_and_nothing_else():
    """Pings and scrapes are not counted; refusals and failures are counted by themselves as well."""
    metrics, _ = counted()
    for route, status in (("/ping", 200), ("/metrics", 200), ("/invocations", 200), ("/invocations", 400)):
        metrics.record_request(route, status, 0.1)
    for status in (429, 503, 507, 500):
        metrics.record_request("/models/{name}/invoke", status, 0.1)
    line = documents(metrics)[None]
    assert (line["Requests"], line["Rejected"], line["Failed"]) == (6, 3, 1)
    assert line["RequestMs"]["Count"] == 6


def test_second_interval_tells_only_what_is_new():
    """Counters and distributions are what was added since; a model that had nothing to do has no line."""
    metrics, batches = counted()
    metrics.record_results(texts=3, errors=0, polarities={"positive": 1}, model="a")
    run_batch(batches, model="b")
    before = read(metrics.registry, METRICS)
    run_batch(batches, model="b", wait_s=0.5)
    found = documents(metrics, before)
    assert set(found) == {"b"}
    assert found["b"]["QueueWaitMs"]["Sum"] == pytest.approx(500)
    assert "Texts" not in found["b"]


def test_gauge_is_told_while_it_is_not_zero_and_once_more():
    """State is shown as it is; its way back to zero is shown, zero itself is silence."""
    metrics, state = Metrics(), [2.0]
    metrics.watch("absa_results_pending", "…", lambda: state[0])
    assert documents(metrics)[None]["ResultsPending"] == 2
    before = read(metrics.registry, METRICS)
    assert documents(metrics, before)[None]["ResultsPending"] == 2
    state[0] = 0.0
    assert documents(metrics, before)[None]["ResultsPending"] == 0
    assert documents(metrics, read(metrics.registry, METRICS)) == {}


def test_nothing_done_is_no_line():
    """An idle container writes nothing."""
    metrics, _ = counted()
    assert documents(metrics) == {}


@given(st.lists(st.floats(0, 100, allow_subnormal=False), min_size=1, max_size=300))
def test_values_of_a_distribution_lie_in_their_classes_and_give_its_sum(waits):
    """Whatever was observed: counts and sum are the registry's, and the values stand for them."""
    metrics, batches = counted()
    for wait_s in waits:
        run_batch(batches, wait_s=wait_s)
    found = documents(metrics)["model"]["QueueWaitMs"]
    assert found["Count"] == len(waits)
    assert found["Sum"] == pytest.approx(1000 * sum(waits), rel=1e-9, abs=1e-6)
    total = sum(value * count for value, count in zip(found["Values"], found["Counts"], strict=True))
    assert total == pytest.approx(found["Sum"], rel=1e-4, abs=1e-4)
    for value, count in zip(found["Values"], found["Counts"], strict=True):
        assert count >= 1
        assert value >= 0


def test_longest_line_is_within_the_limits():
    """Every metric of a model, and of the server, with the largest dimensions, in one line each."""
    metrics, batches = counted()
    for polarity in ("positive", "negative", "neutral", "conflict", "none", "joy"):
        metrics.record_results(texts=10**9, errors=10**9, polarities={polarity: 10**9}, model="x" * 500)
    for power in range(-5, 3):
        for times in (1.1, 2.2, 5.5, 9.9):
            figures = {"wait_s": times * 10**power, "inference_s": times * 10**power, "rows": int(10 + 10**power)}
            run_batch(batches, model="x" * 500, **figures)
            metrics.record_request("/invocations", 503, times * 10**power)
    batches.record_batch(rows=1, tokens=1, padded_tokens=1, wait_s=1, inference_s=1, is_failed=True, model="x" * 500)
    emf = EmfFormat("n" * 255, {f"D{number}": "v" * 255 for number in range(8)})
    model, server = documents(metrics, emf=emf).values()
    assert {metric.name for metric in OF_MODELS} <= set(model)
    assert "RequestMs" in server


def test_one_list_has_no_name_twice_and_fits_a_directive():
    """At most 100 metrics a directive; names are the dashboard's keys."""
    assert len(NAMES) == len(METRICS) <= 100
    assert [metric.is_of_model for metric in METRICS] == [True] * len(OF_MODELS) + [False] * len(OF_THE_SERVER)


@pytest.mark.parametrize("name", ["Model", "event", "Texts"])
def test_dimension_with_a_name_that_the_line_needs_is_refused(name):
    """It would take the place of a metric in the line."""
    with pytest.raises(ValueError, match=name):
        EmfFormat(dimensions={name: "x"})


def test_rules_refuse_a_broken_line():
    """The checks of this test can fail."""
    metrics, _ = counted()
    metrics.record_results(texts=1, errors=0, polarities={})
    (line,) = EmfFormat().lines(since(read(metrics.registry, METRICS), {}), timestamp_ms=NOW_MS).values()
    for old, new in ((b'"Count"', b'"Texts"'), (b"ABSA", b""), (b'"Model":"model"', b'"Model":7'), (b"_aws", b"aws")):
        with pytest.raises((AssertionError, jsonschema.ValidationError)):
            check_line(line.replace(old, new))
