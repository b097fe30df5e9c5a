"""Each shape, resolved and applied: the calls pass botocore's validation, and moto has the endpoint in service."""

import json
import re

import boto3
import pytest

from absa_server.cloud.template import read_template
from absa_server.settings import parse_dimensions, variable_names
from tests.cloud.applied_stack import AppliedStack
from tests.cloud.resource_kinds import kinds

from .metric_names import published, written
from .stacks import ANSWERING_SHAPES, INFRA, PARAMETERS, PLACE, SHAPES, resolver

VARIANT = "endpoint/absa/variant/AllTraffic"
POLICIES = {
    "single": {"absa-invocations", "absa-concurrency"},
    "multi-model": {"absa-invocations"},
    "pipeline": {"absa-invocations", "absa-concurrency"},
    "pipeline-multi-model": {"absa-invocations"},
    "async": {"absa-backlog"},
}
MODES = {
    "single": ["SingleModel"],
    "multi-model": ["MultiModel"],
    "pipeline": ["SingleModel", "SingleModel"],
    "pipeline-multi-model": ["SingleModel", "MultiModel"],
    "async": ["SingleModel"],
}


def applied(name: str, region: str, **parameters: str) -> AppliedStack:
    template = read_template(INFRA / f"{name}.yaml")
    known = PARAMETERS.get(name, {}) | parameters
    stack = AppliedStack(kinds(region), PLACE)
    stack.apply(template, known)
    return stack


@pytest.fixture(params=SHAPES)
def shape(request) -> str:
    return request.param


@pytest.fixture(params=ANSWERING_SHAPES)
def answering_shape(request) -> str:
    return request.param


def test_endpoint_is_in_service(account, shape):
    """With two instances, the containers the shape asks for, and the routing that fits it."""
    stack = applied("endpoint", account, Shape=shape)
    client = boto3.client("sagemaker", account)
    endpoint = client.describe_endpoint(EndpointName="absa")
    assert endpoint["EndpointStatus"] == "InService"
    config = client.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    (variant,) = config["ProductionVariants"]
    assert variant["InitialInstanceCount"] == 2
    assert ("RoutingConfig" in variant) == ("multi-model" not in shape)
    model = client.describe_model(ModelName=variant["ModelName"])
    containers = model.get("Containers") or [model["PrimaryContainer"]]
    assert [container["Mode"] for container in containers] == MODES[shape]
    assert stack.resources["Endpoint"].properties["RetainAllVariantProperties"] is True


def test_endpoint_scales(account, shape):
    """Between 2 and 10, by the policies whose metrics the shape publishes."""
    applied("endpoint", account, Shape=shape)
    client = boto3.client("application-autoscaling", account)
    (target,) = client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["ResourceId"], target["MinCapacity"], target["MaxCapacity"]) == (VARIANT, 2, 10)
    policies = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert {policy["PolicyName"] for policy in policies} == POLICIES[shape]


def test_endpoint_without_scaling_stays_as_it_is(account, shape):
    """MaxInstances 0 leaves the scalable target out: the way to another instance type."""
    stack = applied("endpoint", account, Shape=shape, MaxInstances="0")
    assert not any("AutoScaling" in found.type for found in stack.resources.values())


def test_rollback_alarms_are_there_before_the_endpoint(account, shape):
    """An update that names an alarm that does not exist is refused by SageMaker."""
    stack = applied("endpoint", account, Shape=shape)
    made = list(stack.resources)
    watched = stack.resources["Endpoint"].properties["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    names = {stack.resources[logical].physical for logical in made[: made.index("Endpoint")]}
    assert {alarm["AlarmName"] for alarm in watched} <= names


def test_alarms_and_dashboard_are_accepted(account, answering_shape):
    """Every alarm and the dashboard, by botocore and by moto."""
    applied("endpoint", account, Shape=answering_shape)
    applied("alarms", account, Shape=answering_shape)
    applied("dashboard", account, Shape=answering_shape)
    client = boto3.client("cloudwatch", account)
    names = {alarm["AlarmName"] for alarm in client.describe_alarms()["MetricAlarms"]}
    assert {"absa-5xx-rate", "absa-latency-p99", "absa-cpu", "absa-rollback-5xx"} <= names
    assert ("absa-model-cache-misses" in names) == ("multi-model" in answering_shape)
    assert "absa" in {board["DashboardName"] for board in client.list_dashboards()["DashboardEntries"]}


def metrics_of_alarms(name: str, shape: str) -> set[tuple[str, str]]:
    found = resolver(name, Shape=shape)
    alarms = [found.properties(each) for each in found.resources() if found.type_of(each) == "AWS::CloudWatch::Alarm"]
    plain = {(alarm["Namespace"], alarm["MetricName"]) for alarm in alarms if "MetricName" in alarm}
    parts = [each for alarm in alarms for each in alarm.get("Metrics", [])]
    stats = [each["MetricStat"]["Metric"] for each in parts if "MetricStat" in each]
    return plain | {(metric["Namespace"], metric["MetricName"]) for metric in stats}


def test_metrics_of_alarms_exist(answering_shape):
    """SageMaker publishes what the alarms look at, for this shape, or the containers write it."""
    assert metrics_of_alarms("alarms", answering_shape) - published(answering_shape) - written() == set()


def test_alarms_look_where_the_containers_write(answering_shape):
    """Namespace and dimensions of an alarm on the containers' metrics are those that one of them is given."""
    model = resolver("endpoint", Shape=answering_shape).properties("Model")
    containers = model.get("Containers") or [model["PrimaryContainer"]]
    given = [container["Environment"] for container in containers]
    there = [(each["ABSA_EMF_NAMESPACE"], parse_dimensions(each["ABSA_EMF_DIMENSIONS"])) for each in given]
    assert len({str(place) for place in there}) == len(containers), "two containers write into the same metrics"
    alarm = resolver("alarms", Shape=answering_shape).properties("ResultsDropped")
    looks = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    assert (alarm["Namespace"], looks) == there[-1]


def test_metrics_of_rollback_alarms_exist(shape):
    """And what rolls an update back."""
    assert metrics_of_alarms("endpoint", shape) - published(shape) == set()


def dashboard(shape: str) -> list[dict]:
    found = resolver("dashboard", Shape=shape).properties("Dashboard")
    return json.loads(found["DashboardBody"])["widgets"]


def test_metrics_of_the_dashboard_exist(answering_shape):
    """SageMaker's for this shape; the containers' own are in the very list that they write."""
    lines = [line for widget in dashboard(answering_shape) for line in widget["properties"].get("metrics", [])]
    named = {(line[0], line[1]) for line in lines if isinstance(line[0], str)}
    assert named != set()
    assert named - published(answering_shape) == set()
    searched = {tuple(re.findall(r'"([^"]+)"', line[0]["expression"])) for line in lines if isinstance(line[0], dict)}
    assert searched != set()
    assert {(space, metric) for space, metric, _ in searched} <= written()
    assert {endpoint for _, _, endpoint in searched} == {"absa"}


def test_alarms_of_the_dashboard_exist(answering_shape):
    """Each alarm shown is one of the templates' for this shape."""
    (shown,) = [widget["properties"]["alarms"] for widget in dashboard(answering_shape) if widget["type"] == "alarm"]
    made = set()
    for name in ("endpoint", "alarms"):
        found = resolver(name, Shape=answering_shape)
        made |= {found.properties(each).get("AlarmName") for each in found.resources()}
    assert {arn.rsplit(":", 1)[1] for arn in shown} <= made


def test_containers_know_their_variables(shape):
    """The server ends at start for an ABSA_… variable it does not know; every name here is one it reads."""
    properties = resolver("endpoint", Shape=shape).properties("Model")
    containers = properties.get("Containers") or [properties["PrimaryContainer"]]
    assert {name for container in containers for name in container["Environment"]} <= set(variable_names())


def test_vpc_is_an_option(account, shape):
    """With subnets the model runs inside them; without, it says nothing of a VPC."""
    assert "VpcConfig" not in resolver("endpoint", Shape=shape).properties("Model")
    stack = applied("endpoint", account, Shape=shape, SubnetIds="subnet-1,subnet-2", SecurityGroupIds="sg-1")
    assert stack.resources["Model"].properties["VpcConfig"]["Subnets"] == ["subnet-1", "subnet-2"]


def test_update_replaces_the_model_and_keeps_the_capacity(account, shape):
    """A new artifact is another model and configuration; the endpoint, its name and its instances stay."""
    template = read_template(INFRA / "endpoint.yaml")
    stack = applied("endpoint", account, Shape=shape)
    client = boto3.client("sagemaker", account)
    client.update_endpoint_weights_and_capacities(
        EndpointName="absa", DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 7}]
    )
    before = dict(stack.resources["Model"].properties), stack.resources["Model"].physical
    moved = {"ModelKey": "models/v2/m.tar.gz", "AspectKey": "models/v2/a.tar.gz", "ModelsPrefix": "models/v2/"}
    stack.apply(template, PARAMETERS["endpoint"] | {"Shape": shape} | moved)
    assert (stack.resources["Model"].properties, stack.resources["Model"].physical) != before
    endpoint = client.describe_endpoint(EndpointName="absa")
    assert endpoint["EndpointConfigName"] == stack.resources["EndpointConfig"].physical
    assert endpoint["ProductionVariants"][0]["CurrentInstanceCount"] == 7
    assert [model["ModelName"] for model in client.list_models()["Models"]] == [stack.resources["Model"].physical]


def test_image_by_tag_is_refused(shape):
    """The template's own pattern asks for a digest."""
    with pytest.raises(Exception, match="By digest"):
        resolver("endpoint", Shape=shape, Image="111122223333.dkr.ecr.eu-west-1.amazonaws.com/absa-server:1")


def test_fleet_of_one_is_refused(shape):
    """Two instances at least, so that they stand in two zones."""
    with pytest.raises(Exception, match="MinInstances"):
        resolver("endpoint", Shape=shape, MinInstances="1")
