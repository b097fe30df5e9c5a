"""infra/openapi.yaml: valid, importable as far as can be known here, and the same as the function's routes."""

import json
import re
from typing import Any

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from openapi_spec_validator import validate

from absa_invoke.problems import KINDS
from absa_invoke.routes import Routes
from absa_invoke.settings import read_settings
from absa_server.cloud.template import read_template
from tests.infra.stacks import INFRA

from .function_environment import environment
from .gateway import ANY, OPENAPI, Context, read_openapi

DOCUMENT = read_openapi()
OPERATIONS = [(path, method, one) for path, methods in DOCUMENT["paths"].items() for method, one in methods.items()]
# Developer guide, "Amazon API Gateway important notes": keywords that its models do not take.
NOT_TAKEN = {"discriminator", "readOnly", "example", "exclusiveMinimum", "default", "nullable"}


def walk(node: Any, path: tuple[str, ...] = ()):
    """Every mapping of the document, with the keys that lead to it."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            yield from walk(value, (*path, key))
    elif isinstance(node, list):
        for value in node:
            yield from walk(value, path)


def test_document_is_valid():
    """OpenAPI 3.0, which is what API Gateway imports."""
    assert DOCUMENT["openapi"].startswith("3.0.")
    validate(DOCUMENT)


def test_document_and_function_have_the_same_routes():
    """No route of one is missing in the other."""
    routes = Routes(read_settings(environment()), None, None).table()
    documented = {(path, method.upper()) for path, method, _ in OPERATIONS if method != ANY}
    assert documented == {(path, method) for path, methods in routes.items() for method in methods}


def test_every_path_takes_any_method():
    """Or the gateway itself would refuse the others, with a 403 that says nothing."""
    assert [path for path, methods in DOCUMENT["paths"].items() if ANY not in methods] == []
    assert "/{proxy+}" in DOCUMENT["paths"]


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_operation_calls_the_alias(path, method, operation):
    """The alias, for which alone the gateway has the permission; within the gateway's own limit."""
    integration = operation["x-amazon-apigateway-integration"]
    assert (integration["type"], integration["httpMethod"]) == ("aws_proxy", "POST")
    assert list(integration["uri"]) == ["Fn::Sub"]
    assert "functions/${Function.Alias}/invocations" in integration["uri"]["Fn::Sub"]


def test_template_includes_the_document():
    """Both gateways do, and the document refers to the template's own function."""
    resources = read_template(INFRA / "api.yaml")["Resources"]
    bodies = [
        one["Properties"]["DefinitionBody"] for one in resources.values() if one["Type"] == "AWS::Serverless::Api"
    ]
    assert len(bodies) == 2
    for body in bodies:
        assert body["Fn::Transform"] == {"Name": "AWS::Include", "Parameters": {"Location": OPENAPI.name}}
    assert resources["Function"]["Properties"]["AutoPublishAlias"] == "live"


def test_document_has_no_short_tags_and_no_anchors():
    """The transform that includes it knows neither."""
    assert not re.search(r"(?m)(^|[\s\[{,])[!&*][A-Za-z]", OPENAPI.read_text(encoding="utf-8"))


def test_references_lead_to_schemas():
    """API Gateway resolves no others."""
    references = [node["$ref"] for _, node in walk(DOCUMENT) if "$ref" in node]
    assert references != []
    assert all(one.removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"] for one in references)


def test_schemas_use_no_keyword_that_models_do_not_take():
    """And model names are letters and digits."""
    for path, node in walk(DOCUMENT["components"]["schemas"]):
        assert path[-1:] == ("properties",) or not NOT_TAKEN & set(node), path
    assert all(name.isalnum() for name in DOCUMENT["components"]["schemas"])


def test_validators_are_on():
    """For every operation: a required parameter is not looked at otherwise."""
    chosen = DOCUMENT["x-amazon-apigateway-request-validator"]
    validator = DOCUMENT["x-amazon-apigateway-request-validators"][chosen]
    assert validator == {"validateRequestBody": True, "validateRequestParameters": True}
    (text,) = [one for one in DOCUMENT["paths"]["/v1/analyze"]["get"]["parameters"] if one["name"] == "text"]
    assert text["required"] is True


RESPONSES = DOCUMENT["x-amazon-apigateway-gateway-responses"]


@pytest.mark.parametrize("kind", RESPONSES)
def test_gateway_responses_are_problems(kind):
    """JSON once the gateway has filled them in, of the same members and types as the function's own."""
    (template,) = RESPONSES[kind]["responseTemplates"].values()
    filled = template.replace("$context.error.messageString", '"said"')
    problem = json.loads(re.sub(r"\$context\.[A-Za-z.]+", "said", filled))
    assert {"type", "title", "request_id"} <= set(problem)
    assert problem.get("status", RESPONSES[kind].get("statusCode")) == RESPONSES[kind].get("statusCode")
    headers = RESPONSES[kind]["responseParameters"]
    assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
    assert (problem.get("status") == 429 and kind == "THROTTLED") == ("gatewayresponse.header.Retry-After" in headers)


def test_gateway_and_function_mean_the_same_by_a_name():
    """A type that both use has one status and one title."""
    known = {f"urn:absa:problem:{kind.name}": (kind.status, kind.title) for kind in KINDS}
    assert len(known) == len(KINDS)
    for response in RESPONSES.values():
        (template,) = response["responseTemplates"].values()
        found = json.loads(re.sub(r"\$context\.[A-Za-z.]+", "0", template))
        if found["type"] in known:
            assert (found["status"], found["title"]) == known[found["type"]]


def test_context_of_the_tests_is_lambdas():
    """What the function and Powertools ask of it is there under Lambda's names."""
    own = {name for name in dir(Context(1.0)) if not name.startswith("_")} - {"timeout_s", "begin_s"}
    assert own <= {name for name in dir(LambdaContext) if not name.startswith("_")}
