"""docs/metrics.md against the one list of metrics."""

from pathlib import Path

from absa_server.telemetry.emf_metrics import METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_page_has_a_row_for_each_metric_and_no_other():
    """Name, unit, meaning and Prometheus' name, as they are in the code."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) == len(METRICS)
    for metric, row in zip(METRICS, rows, strict=True):
        assert row.startswith(f"| `{metric.name}` | {metric.unit} | {metric.meaning} | `{metric.family}")
