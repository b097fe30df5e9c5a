"""One line a request: CloudWatch takes its metrics out of it, people read the rest. Never a text, never a query.

Knows Powertools; what is counted is named here and nowhere else.
"""

import traceback

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from absa_invoke.error_table import Told
from absa_invoke.routes import Facts


def count(metrics: Metrics, facts: Facts, *, status: int, duration_s: float, is_fault: bool) -> None:
    """Puts one request into the line that `metrics` writes when the function ends."""
    metrics.add_metric("Requests", MetricUnit.Count, 1)
    metrics.add_metric("RequestMs", MetricUnit.Milliseconds, round(duration_s * 1000, 3))
    metrics.add_metric("Texts", MetricUnit.Count, facts.texts)
    metrics.add_metric("EndpointTries", MetricUnit.Count, facts.tries)
    metrics.add_metric("NotModified", MetricUnit.Count, int(facts.is_not_modified))
    # The template's alarm looks at it: a function that answers 500 has not failed in Lambda's eyes.
    metrics.add_metric("Faults", MetricUnit.Count, int(is_fault))
    metrics.add_metadata("status", status)


def name_request(metrics: Metrics, *, method: str, resource: str, request_id: str) -> None:
    """Says in the line whose request it is. `resource` is the route, which holds nothing of the caller's."""
    metrics.add_metadata("route", f"{method} {resource}")
    metrics.add_metadata("request_id", request_id)


def log_failure(logger: Logger, told: Told, *, request_id: str, tries: int) -> None:
    """A call to AWS that failed. What the container said may hold the text: its type and its own id do not."""
    failure = told.failure
    fields = {
        "request_id": request_id,
        "row": told.row.name,
        "code": failure.code,
        "original_status": failure.original_status,
        "original_type": failure.original.get("type"),
        "original_request_id": failure.original.get("request_id"),
        "log_stream": failure.log_stream,
        "tries": tries,
        # AWS's own words name the endpoint or the right that is missing; a ModelError's quote the container.
        "said": failure.message if told.row.is_fault else None,
    }
    write = logger.error if told.row.is_fault else logger.warning
    write("call_failed", extra={name: value for name, value in fields.items() if value not in (None, "")})


def log_fault(logger: Logger, error: Exception, *, request_id: str) -> None:
    """An exception that nobody foresaw: its type and where it came from, not its message, which may hold anything."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    logger.error("fault", extra={"request_id": request_id, "error": type(error).__name__, "frames": frames[-20:]})
