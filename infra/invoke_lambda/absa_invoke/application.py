"""From a proxy event to the response that API Gateway takes; every error becomes a problem here, and nowhere else."""

import time
from dataclasses import dataclass
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics

from absa_invoke.answers import Answer, problem_answer
from absa_invoke.budgets import budget_of
from absa_invoke.clients import make_clients
from absa_invoke.endpoint import Endpoint
from absa_invoke.error_table import look_up
from absa_invoke.events import read_event, request_id_of
from absa_invoke.failures import CallFailed
from absa_invoke.jobs import Jobs
from absa_invoke.models import Models
from absa_invoke.problems import FAULT, Problem
from absa_invoke.routes import Facts, Request, Routes
from absa_invoke.settings import Settings
from absa_invoke.storage import Folder, Store, folder_of
from absa_invoke.telemetry import count, log_failure, log_fault, name_request


def make_routes(settings: Settings, session: boto3.Session) -> Routes:
    """The routes with their clients; done once, before the first request."""
    store = Store(make_clients(session, "s3"))
    jobs = None
    if settings.is_async:
        jobs = Jobs(store, folder_of(settings.async_input_uri), folder_of(settings.async_output_uri))
    return Routes(
        settings,
        Endpoint(settings.endpoint_name, make_clients(session, "sagemaker-runtime")),
        Models(store, Folder(settings.artifacts_bucket, settings.artifacts_prefix)),
        jobs,
    )


@dataclass(frozen=True, slots=True)
class Application:
    """Answers events, one at a time, as Lambda brings them. Raises nothing."""

    routes: Routes
    logger: Logger
    metrics: Metrics

    def respond(self, event: object, *, remaining_ms: int) -> dict[str, Any]:
        """The proxy integration's response."""
        begin = time.monotonic()
        facts = Facts()
        request_id = request_id_of(event)
        answer, is_fault = self._answer(event, facts, remaining_ms=remaining_ms, request_id=request_id)
        count(self.metrics, facts, status=answer.status, duration_s=time.monotonic() - begin, is_fault=is_fault)
        return answer.for_gateway(request_id)

    def _answer(self, event: object, facts: Facts, *, remaining_ms: int, request_id: str) -> tuple[Answer, bool]:
        try:
            call = read_event(event)
            name_request(self.metrics, method=call.method, resource=call.resource, request_id=request_id)
            return self.routes.answer(Request(call, budget_of(remaining_ms), facts)), False
        except Problem as problem:
            return problem_answer(problem, request_id=request_id), False
        except CallFailed as error:
            told = look_up(error.failure)
            facts.tries = error.tries
            log_failure(self.logger, told, request_id=request_id, tries=error.tries)
            return problem_answer(told.problem, request_id=request_id), told.row.is_fault
        except Exception as error:  # the outermost edge: API Gateway would answer 502 without a word
            log_fault(self.logger, error, request_id=request_id)
            said = Problem(FAULT, "Something failed that should not have; the log has it under the request's id.")
            return problem_answer(said, request_id=request_id), True
