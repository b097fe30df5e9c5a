"""What Lambda calls: `absa_invoke.app.handler`. The one place that reads the environment."""

import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from absa_invoke.application import Application, make_routes
from absa_invoke.settings import read_settings

logger = Logger()
metrics = Metrics()
tracer = Tracer()
application = Application(make_routes(read_settings(os.environ), boto3.Session()), logger, metrics)


# Neither events nor answers nor exceptions go into logs and traces, whatever the environment says: they hold reviews.
@logger.inject_lambda_context(log_event=False)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The answer to one request of a REST API. Raises nothing."""
    return application.respond(event, remaining_ms=context.get_remaining_time_in_millis())
