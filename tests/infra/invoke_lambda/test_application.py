"""The whole function in this process, asked with events, its runtime scripted over HTTP: what it answers and logs."""

import io
import json
import logging
import uuid
from dataclasses import replace

import pytest
from aws_lambda_powertools import Logger, Metrics

from absa_invoke.application import Application, make_routes
from absa_invoke.settings import read_settings
from tests.infra.stacks import resolver

from .function_environment import environment
from .proxy_events import make_event
from .scripted_runtime import Scripted, error, model_error

SECRET = "my doctor told me"


class Asked:
    """The function, and the lines it writes."""

    def __init__(self, session, capsys, **parameters):
        routes = make_routes(read_settings(environment(**parameters)), session)
        self.metrics = Metrics(namespace="ABSA", service="api")
        # A logger is known by its service, and keeps the stream of whoever was first.
        self._log = io.StringIO()
        logger = Logger(service=f"api-{uuid.uuid4().hex}", logger_handler=logging.StreamHandler(self._log))
        self.application = Application(routes, logger, self.metrics)
        self._capsys = capsys
        self.lines = []

    def __call__(self, event, remaining_ms=28_000):
        self._capsys.readouterr()
        answer = self.metrics.log_metrics(lambda event, _: self.application.respond(event, remaining_ms=remaining_ms))(
            event, None
        )
        written = self._log.getvalue() + self._capsys.readouterr().out
        self.lines = [json.loads(line) for line in written.splitlines() if line.strip()]
        return answer

    def get(self, text, **options):
        return self(make_event("GET", "/v1/analyze", "/v1/analyze", raw_query=f"text={text}"), **options)

    def post(self, body, **options):
        headers = [("Content-Type", "application/json")]
        return self(make_event("POST", "/v1/analyze", "/v1/analyze", headers=headers, body=body), **options)


@pytest.fixture
def ask(session, capsys, runtime):
    runtime.script.clear()
    yield Asked(session, capsys)
    runtime.script.clear()


def test_one_line_tells_of_a_request(ask):
    """Metrics and the request's own fields in one EMF line, with neither the text nor the query."""
    ask.get(SECRET.replace(" ", "+"))
    (line,) = ask.lines
    assert (line["route"], line["status"], line["Texts"], line["EndpointTries"]) == (
        "GET /v1/analyze",
        200,
        [1.0],
        [1.0],
    )
    assert line["request_id"]
    assert "doctor" not in json.dumps(line)


@pytest.mark.parametrize(
    "scripted",
    [
        model_error(500, {"type": "EngineFailed", "message": SECRET}),
        model_error(400, {"type": "InvalidRequest", "message": SECRET}),
        error(503, "ServiceUnavailable", SECRET),
        Scripted(does="cut"),
    ],
)
def test_failure_is_logged_without_a_text(ask, runtime, scripted):
    """Whatever a container quotes stays out of the log; its type, status and the row do not."""
    runtime.script[:] = [scripted] * 3
    ask.get(SECRET.replace(" ", "+"))
    (failure,) = [line for line in ask.lines if line.get("message") == "call_failed"]
    assert failure["row"]
    assert "doctor" not in json.dumps(ask.lines)


def test_misconfiguration_is_logged_with_awss_words_and_counted(ask, runtime):
    """It names the endpoint or the right that is missing; the alarm looks at Faults."""
    runtime.script[:] = [error(400, "ValidationError", "Endpoint absa of account 1 not found.")]
    assert ask.get("a")["statusCode"] == 500
    failure, line = ask.lines
    assert (failure["level"], failure["said"]) == ("ERROR", "Endpoint absa of account 1 not found.")
    assert line["Faults"] == [1.0]


def test_unforeseen_error_is_a_problem_without_a_word_of_it(ask):
    """500 with the request's id; the log has where it came from, and not what it said."""

    def explode(read_timeout_s):
        raise RuntimeError(SECRET)

    routes = ask.application.routes
    ask.application = replace(
        ask.application, routes=replace(routes, endpoint=replace(routes.endpoint, clients=explode))
    )
    answer = ask.get("a")
    problem = json.loads(answer["body"])
    assert (answer["statusCode"], problem["type"]) == (500, "urn:absa:problem:fault")
    fault, line = ask.lines
    assert (fault["message"], fault["error"], line["Faults"]) == ("fault", "RuntimeError", [1.0])
    assert any("endpoint.py" in frame for frame in fault["frames"])
    assert "doctor" not in json.dumps(ask.lines) + answer["body"]


def test_nearly_over_function_asks_nobody(ask, runtime):
    """504 at once, instead of API Gateway's 502 when the function is ended in the middle."""
    before = len(runtime.calls)
    assert ask.get("a", remaining_ms=3_000)["statusCode"] == 504
    assert len(runtime.calls) == before


@pytest.mark.parametrize("event", [None, [], {}, {"resource": "/v1/analyze"}, {"version": "2.0", "rawPath": "/"}])
def test_other_events_are_problems(ask, event):
    """Of an HTTP API, a test button, a schedule: 400, in the form that API Gateway takes."""
    answer = ask(event)
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["request_id"] == "unknown"


def test_answer_has_the_form_that_the_gateway_takes(ask):
    """A number, strings, a string; anything else would be a 502."""
    answer = ask.post(b'{"texts": ["a"]}')
    assert isinstance(answer["statusCode"], int)
    assert isinstance(answer["body"], str)
    assert all(isinstance(value, str) for value in answer["headers"].values())
    assert answer["headers"]["Cache-Control"] == "no-store"


def test_one_retried_request_keeps_its_id(ask, runtime):
    """All tries of a request have one InferenceId, so that its result is kept once."""
    before = len(runtime.calls)
    runtime.script[:] = [error(503, "ServiceUnavailable"), error(429, "ModelNotReadyException")]
    assert ask.get("a")["statusCode"] == 200
    tries = runtime.calls[before:]
    assert len(tries) == 3
    assert len({one["headers"]["x-amzn-sagemaker-inference-id"] for one in tries}) == 1
    assert ask.lines[-1]["EndpointTries"] == [3.0]


def test_alarm_of_the_template_looks_at_what_is_written(ask):
    """Namespace, metric and dimension of the alarm on faults are those of the line, and it takes a bad version back."""
    found = resolver("api", MetricsNamespace="Own")
    alarm, variables = found.properties("FunctionFaults"), environment(MetricsNamespace="Own")
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == alarm["Namespace"] == "Own"
    assert alarm["Dimensions"] == [{"Name": "service", "Value": variables["POWERTOOLS_SERVICE_NAME"]}]
    ask.get("a")
    (written,) = ask.lines[-1]["_aws"]["CloudWatchMetrics"]
    assert written["Dimensions"] == [["service"]]
    assert alarm["MetricName"] in {one["Name"] for one in written["Metrics"]}
    watched = found.properties("Function")["DeploymentPreference"]["Alarms"]
    assert watched == ["FunctionErrors", "FunctionFaults"]
