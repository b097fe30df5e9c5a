"""Errors planted in a template that is otherwise ours. Those that cfn-lint lets pass are caught by our own checks."""

import copy

import pytest

from absa_server.cloud.errors import BadTemplate
from absa_server.cloud.resolver import Resolver
from absa_server.cloud.template import read_template
from absa_server.cloud.template_checks import MAX_ENVIRONMENT_BYTES, check, complaints, resolved_resources

from .stacks import INFRA, PARAMETERS, PLACE
from .test_lint import said_by_cfn_lint

ENDPOINT = read_template(INFRA / "endpoint.yaml")
DASHBOARD = read_template(INFRA / "dashboard.yaml")


def said(template, shape: str, **parameters: str) -> list[str]:
    values = PARAMETERS["endpoint"] | parameters | {"Shape": shape}
    known = {name: value for name, value in values.items() if name in template["Parameters"]}
    return complaints(resolved_resources(Resolver(template, known, place=PLACE)))


def model(template):
    return template["Resources"]["Model"]["Properties"]


def both_containers(template):
    return model(template)["Containers"]["Fn::If"][1]


def variant(template):
    return template["Resources"]["EndpointConfig"]["Properties"]["ProductionVariants"][0]


def endpoint(template):
    return template["Resources"]["Endpoint"]["Properties"]


def no_role(template):
    del model(template)["ExecutionRoleArn"]


def two_multi_model(template):
    both_containers(template)[0] |= {"Mode": "MultiModel", "ModelDataUrl": "s3://artifacts/models/"}


def prefix_without_slash(template):
    both_containers(template)[1]["ModelDataUrl"] = "s3://artifacts/models"


def folder_for_one_model(template):
    both_containers(template)[0]["ModelDataUrl"] = "s3://artifacts/models/"


def data_source_and_multi_model(template):
    both_containers(template)[1]["ModelDataSource"] = {"S3DataSource": {}}


def image_by_tag(template):
    both_containers(template)[0]["Image"] = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/absa-server:1"


def one_container_too_many(template):
    both_containers(template).extend(both_containers(template)[:1] * 14)


def both_kinds_of_containers(template):
    model(template)["PrimaryContainer"] = both_containers(template)[0]


def large_environment(template):
    half = {f"NAME_{place}": "x" * 1000 for place in range(20)}
    for container in both_containers(template):
        container["Environment"] = half


def long_value(template):
    both_containers(template)[0]["Environment"] = {"NAME": "x" * 1025}


def many_variables(template):
    both_containers(template)[0]["Environment"] = {f"N{place}": "" for place in range(101)}


def routing_of_many_models(template):
    variant(template)["RoutingConfig"] = {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}


def one_instance(template):
    variant(template)["InitialInstanceCount"] = 1


def scaled_to_one(template):
    template["Resources"]["Scaling"]["Properties"]["MinCapacity"] = 1


def maximum_below_minimum(template):
    template["Resources"]["Scaling"]["Properties"]["MaxCapacity"] = 1


def named_model(template):
    model(template)["ModelName"] = "absa"


def named_configuration(template):
    template["Resources"]["EndpointConfig"]["Properties"]["EndpointConfigName"] = "absa"


def capacity_forgotten(template):
    del endpoint(template)["RetainAllVariantProperties"]


def no_rollback(template):
    del endpoint(template)["DeploymentConfig"]["AutoRollbackConfiguration"]


def one_subnet(template):
    model(template)["VpcConfig"] = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}


PLANTED = {
    no_role: "ExecutionRoleArn",
    two_multi_model: "SageMaker takes one",
    prefix_without_slash: "ends with a slash",
    folder_for_one_model: "expected one .tar.gz",
    data_source_and_multi_model: "ModelDataSource",
    image_by_tag: "not by digest",
    one_container_too_many: "got 16",
    both_kinds_of_containers: "PrimaryContainer and Containers",
    large_environment: f"{MAX_ENVIRONMENT_BYTES} are allowed",
    long_value: "1025 characters",
    many_variables: "101 variables",
    routing_of_many_models: "leave RoutingConfig out",
    one_instance: "one zone",
    scaled_to_one: "MinCapacity 1",
    maximum_below_minimum: "below MinCapacity",
    named_model: "cannot replace a Model",
    named_configuration: "cannot replace a EndpointConfig",
    capacity_forgotten: "RetainAllVariantProperties",
    no_rollback: "no alarm",
    one_subnet: "one subnet",
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_planted_error_is_the_only_complaint(plant):
    """One error, one kind of complaint, which names it."""
    template = copy.deepcopy(ENDPOINT)
    plant(template)
    found = said(template, "pipeline-multi-model")
    assert found != []
    assert [line for line in found if PLANTED[plant] not in line] == []


def test_check_raises_with_every_complaint():
    """The commands stop with all of them at once."""
    template = copy.deepcopy(ENDPOINT)
    no_role(template)
    one_instance(template)
    with pytest.raises(BadTemplate, match=r"(?s)ExecutionRoleArn.*one zone"):
        check(Resolver(template, PARAMETERS["endpoint"], place=PLACE))


def test_environment_is_allowed_up_to_its_limit():
    """32 KiB over both containers pass, one byte more does not."""
    template = copy.deepcopy(ENDPOINT)
    first, second = both_containers(template)
    first["Environment"] = {f"N{place:03}": "x" * 1020 for place in range(16)}
    second["Environment"] = {f"N{place:03}": "x" * 1020 for place in range(16)}
    assert said(template, "pipeline") == []
    second["Environment"]["M"] = ""
    assert len(said(template, "pipeline")) == 1


WRONG_WIDGETS = {
    '"title": "Requests a minute"': ('"titel": "Requests a minute"', "knows no titel"),
    '"width": 12, "height": 6, "properties"': ('"width": 25, "height": 6, "properties"', "has 24"),
    '"type": "log"': ('"type": "logs"', "is none of"),
    '"x": 0, "y": 30,': ('"left": 0, "y": 30,', "expected type"),
    '"query": ': ('"Query": ', "lacks query"),
    '{"start": "-PT3H"': ('{"start": -PT3H', "not JSON"),
}


@pytest.mark.parametrize("right", WRONG_WIDGETS)
def test_wrong_dashboard_is_named(right):
    """CloudWatch's own complaint would come only after the stack had begun to change."""
    wrong, complaint = WRONG_WIDGETS[right]
    template = copy.deepcopy(DASHBOARD)
    body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert right in body[0]
    body[0] = body[0].replace(right, wrong, 1)
    assert complaint in " ".join(said(template, "single"))


def test_cfn_lint_misses_what_our_checks_are_for():
    """A missing role and a wrong key of a dashboard pass cfn-lint; when that changes, these checks may go."""
    role = "      ExecutionRoleArn: !Ref ExecutionRoleArn\n"
    text = (INFRA / "endpoint.yaml").read_text(encoding="utf-8")
    assert role in text
    missed = [line for line in said_by_cfn_lint(text.replace(role, "")) if "W2001" not in line]
    wrong = (INFRA / "dashboard.yaml").read_text(encoding="utf-8").replace('"title":', '"titel":')
    assert missed + said_by_cfn_lint(wrong) == []
