"""Deploy, update and roll back on an account in this process: order, values, releases, refusals, interruptions."""

import boto3
import pytest

from absa_server.cloud.deployment import Request
from absa_server.cloud.errors import BadTemplate, NothingToDo, Refused, StackFailed
from absa_server.cloud.parts import PARTS

from .scenes import FIRST, GIVEN, INFRA, OTHER_TYPE, REGION, SECOND, Interruption, Scene

CHANGING = ("Create", "Update", "Delete", "Put", "Continue")
SHAPES = ["single", "multi-model", "pipeline", "pipeline-multi-model", "async"]


def parameters(stage: Scene, part: str) -> dict[str, str]:
    return stage.service.named(f"absa-{part}").parameters


def numbers(stage: Scene) -> list[tuple[int, int | None]]:
    return [(release.number, release.previous) for release in stage.releases().newest_first()]


@pytest.mark.parametrize("shape", SHAPES)
def test_deploy_makes_every_stack_in_order(stage, counted, shape):
    """Of the one list; an asynchronous endpoint has neither alarms nor dashboard of answers."""
    outputs = stage.deploy(counted.clients(), Shape=shape)
    stacks = [stack.name for stack in stage.service.describe(None)]
    last = [] if shape == "async" else ["absa-alarms", "absa-dashboard"]
    assert stacks == ["absa-storage", "absa-roles", "absa-endpoint", *last]
    assert outputs["endpoint"]["Shape"] == shape
    endpoint = boto3.client("sagemaker", REGION).describe_endpoint(EndpointName="absa")
    assert endpoint["EndpointStatus"] == "InService"


def test_deploy_wires_outputs_into_parameters(stage, counted):
    """Buckets, repository and role come from the stacks before; the stacks carry the tag that the rights ask for."""
    outputs = stage.deploy(counted.clients())
    assert parameters(stage, "endpoint")["ExecutionRoleArn"] == outputs["roles"]["ExecutionRoleArn"]
    assert parameters(stage, "roles")["ArtifactsBucket"] == outputs["storage"]["ArtifactsBucket"]
    assert {stack.tags["absa-endpoint"] for stack in stage.service.describe(None)} == {"absa"}


def test_value_given_once_reaches_every_part(stage, counted):
    """MaxInstances is the endpoint's and the alarms'; cores follow from the instance type."""
    stage.deploy(counted.clients(), MaxInstances="20", InstanceType=OTHER_TYPE)
    assert parameters(stage, "endpoint")["MaxInstances"] == parameters(stage, "alarms")["MaxInstances"] == "20"
    assert parameters(stage, "alarms")["VcpusPerInstance"] == "8"


def test_vpc_gives_the_role_its_network_interfaces(stage, counted):
    """Which follows from the subnets; the user does not repeat it."""
    stage.deploy(counted.clients(), SubnetIds="subnet-1,subnet-2", SecurityGroupIds="sg-1")
    assert parameters(stage, "roles")["IsInVpc"] == "true"


def test_update_changes_what_is_given_and_keeps_the_rest(stage, counted):
    """The image changes; the bounds that deploy was given, and the instances that scaling has come to, stay."""
    stage.deploy(counted.clients(), MaxInstances="20")
    client = boto3.client("sagemaker", REGION)
    client.update_endpoint_weights_and_capacities(
        EndpointName="absa", DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 7}]
    )
    stage.update(counted.clients(), Image=SECOND)
    assert parameters(stage, "endpoint")["Image"] == SECOND
    assert parameters(stage, "endpoint")["MaxInstances"] == "20"
    assert client.describe_endpoint(EndpointName="absa")["ProductionVariants"][0]["CurrentInstanceCount"] == 7


def test_update_touches_neither_storage_nor_roles(stage):
    """Whoever may only deploy needs no right on them but to look."""
    stage.deploy(Interruption().clients())
    stage.watch.ended.clear()
    stage.update(Interruption().clients(), Image=SECOND)
    assert {name for name, _ in stage.watch.ended} == {"absa-endpoint", "absa-alarms", "absa-dashboard"}


def test_deploy_again_changes_nothing(stage, counted):
    """Every stack is unchanged, and there is no further release."""
    stage.deploy(counted.clients())
    before = stage.left()
    stage.watch.ended.clear()
    stage.deploy(counted.clients())
    assert {result for _, result in stage.watch.ended} == {"unchanged"}
    assert stage.left() == before
    assert numbers(stage) == [(1, None)]


def test_instance_type_is_changed_in_two_steps(stage, counted):
    """Scaling is given up first, or SageMaker would refuse; afterwards it is there again."""
    stage.deploy(counted.clients())
    stage.watch.begun.clear()
    stage.update(counted.clients(), InstanceType=OTHER_TYPE)
    assert [stack for stack, _ in stage.watch.begun].count("absa-endpoint") == 2
    assert parameters(stage, "endpoint")["MaxInstances"] == "10"
    assert "Scaling" in stage.service.named("absa-endpoint").applied.resources


def test_change_of_shape_takes_away_what_does_not_fit(stage, counted):
    """An asynchronous endpoint publishes nothing that the alarms and the dashboard look at."""
    stage.deploy(counted.clients())
    stage.update(counted.clients(), Shape="async")
    assert [stack.name for stack in stage.service.describe(None)] == ["absa-storage", "absa-roles", "absa-endpoint"]
    stage.rollback(counted.clients())
    assert stage.service.named("absa-alarms") is not None


def test_rollback_walks_back_release_by_release(stage, counted):
    """Each release knows the one that it replaced; after the first there is none."""
    clients = counted.clients()
    stage.deploy(clients)
    stage.update(clients, Image=SECOND)
    stage.update(clients, ModelKey="models/v2/m.tar.gz")
    assert numbers(stage) == [(3, 2), (2, 1), (1, None)]
    assert stage.rollback(clients).number == 2
    assert parameters(stage, "endpoint")["ModelKey"] == "models/v1/model.tar.gz"
    assert parameters(stage, "endpoint")["Image"] == SECOND
    assert stage.rollback(clients).number == 1
    assert parameters(stage, "endpoint")["Image"] == FIRST
    with pytest.raises(NothingToDo, match="no release before"):
        stage.rollback(clients)


def test_update_after_a_rollback_replaces_what_is_live(stage, counted):
    """Not the release that was rolled back: rolling back again does not return to it."""
    clients = counted.clients()
    stage.deploy(clients)
    stage.update(clients, Image=SECOND)
    stage.rollback(clients)
    stage.update(clients, ModelKey="models/v3/m.tar.gz")
    assert numbers(stage) == [(3, 1), (2, 1), (1, None)]
    stage.rollback(clients)
    assert parameters(stage, "endpoint")["Image"] == FIRST


def test_rollback_to_a_number(stage, counted):
    """Any release may be named; one that is not there is told, with those that are."""
    clients = counted.clients()
    stage.deploy(clients)
    stage.update(clients, Image=SECOND)
    stage.update(clients, ModelKey="models/v2/m.tar.gz")
    assert stage.rollback(clients, 1).number == 1
    assert stage.rollback(clients, 1).number == 1
    with pytest.raises(NothingToDo, match="there are 3, 2, 1"):
        stage.rollback(clients, 9)


def test_update_that_alarms_roll_back_can_be_given_up(stage, counted):
    """CloudFormation has returned by itself: rollback finds the release before live; the next one follows it."""
    clients = counted.clients()
    stage.deploy(clients)
    stage.service.fails.append("absa-endpoint/Endpoint")
    with pytest.raises(StackFailed, match="Endpoint"):
        stage.update(clients, Image=SECOND)
    assert parameters(stage, "endpoint")["Image"] == FIRST
    assert stage.rollback(clients).number == 1
    stage.update(clients, ModelKey="models/v2/m.tar.gz")
    assert numbers(stage)[0] == (3, 1)


def test_release_holds_the_template_of_its_time(stage, counted, tmp_path):
    """A rollback needs no checkout of the past: the old template comes from the bucket."""
    clients = counted.clients()
    stage.deploy(clients)
    for file in INFRA.glob("*.yaml"):
        text = file.read_text(encoding="utf-8").replace("EvaluationPeriods: 5", "EvaluationPeriods: 4")
        (tmp_path / file.name).write_text(text, encoding="utf-8")
    stage.deployment(clients).deploy(Request({}), tmp_path, is_update=True)
    alarm = "absa-rollback-latency"
    client = boto3.client("cloudwatch", REGION)
    assert client.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["EvaluationPeriods"] == 4
    stage.rollback(clients)
    assert client.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["EvaluationPeriods"] == 5


def test_endpoint_changed_by_other_means_is_adopted(stage, counted):
    """What runs is recorded before it is replaced, so that it can be returned to."""
    clients = counted.clients()
    stage.deploy(clients)
    stack = stage.service.named("absa-endpoint")
    by_hand = stack.parameters | {"ModelKey": "models/by-hand/m.tar.gz"}
    stage.service.update("absa-endpoint", stack.template, by_hand, stack.tags)
    stage.update(clients, Image=SECOND)
    assert numbers(stage) == [(3, 2), (2, None), (1, None)]
    stage.rollback(clients)
    assert parameters(stage, "endpoint")["ModelKey"] == "models/by-hand/m.tar.gz"
    assert parameters(stage, "endpoint")["Image"] == FIRST


def test_two_deployers_at_once_do_not_share_a_number(stage, counted, monkeypatch):
    """The second is told to run again; nothing is overwritten."""
    clients = counted.clients()
    stage.deploy(clients)
    releases = stage.releases()
    parts = releases.read(1).parts
    monkeypatch.setattr(releases, "numbers", list)
    with pytest.raises(Refused, match="somebody else"):
        releases.record(parts, previous=None)


REFUSED = {
    "no image": ({"Image": None}, "--image"),
    "image by tag": ({"Image": FIRST.split("@", maxsplit=1)[0] + ":1"}, "By digest"),
    "no such shape": ({"Shape": "double"}, "expected one of single"),
    "one instance": ({"MinInstances": "1"}, "MinInstances"),
    "maximum below minimum": ({"MinInstances": "9", "MaxInstances": "3"}, "below MinCapacity"),
    "one subnet": ({"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"}, "one subnet"),
    "misspelt": ({"MaxInstance": "3"}, "did you mean MaxInstances"),
}


@pytest.mark.parametrize(("given", "named"), REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_is_sent(stage, counted, given, named):
    """By the template's constraints or by our own checks; no call has changed anything."""
    values = {name: value for name, value in (GIVEN | given).items() if value is not None}
    with pytest.raises(BadTemplate, match=named):
        stage.deployment(counted.clients()).deploy(Request(values), INFRA)
    assert not [call for call in counted.calls if call.startswith(CHANGING)]


def test_plan_changes_nothing(stage, counted):
    """A dry run only looks."""
    _, plans = stage.deployment(counted.clients()).plan(Request(GIVEN), INFRA)
    assert [each.part.name for each in plans] == ["storage", "roles", "endpoint", "alarms", "dashboard"]
    assert not [call for call in counted.calls if call.startswith(CHANGING)]


def test_single_parts_can_be_deployed(stage, counted):
    """Storage first, for the image has to be somewhere before the endpoint can name it."""
    deployment = stage.deployment(counted.clients())
    assert set(deployment.deploy(Request({}, only=("storage",)), INFRA)) == {"storage"}
    assert stage.deploy(counted.clients())["endpoint"]["Shape"] == "single"
    with pytest.raises(BadTemplate, match="no such part; there are storage"):
        deployment.deploy(Request({}, only=("stores",)), INFRA)


def test_update_and_rollback_need_an_endpoint(stage, counted):
    """And say what makes one."""
    with pytest.raises(NothingToDo, match="absa deploy"):
        stage.update(counted.clients(), Image=SECOND)
    with pytest.raises(NothingToDo, match="--only storage"):
        stage.rollback(counted.clients())


def test_deploy_after_a_creation_that_failed(stage, counted):
    """The dead stack is made anew, with what is given now."""
    stage.service.fails.append("absa-endpoint/Endpoint")
    with pytest.raises(StackFailed, match="Endpoint"):
        stage.deploy(counted.clients(), MaxInstances="20")
    stage.deploy(counted.clients())
    assert parameters(stage, "endpoint")["MaxInstances"] == "10"
    assert numbers(stage) == [(2, None), (1, None)]


def test_every_part_has_its_template():
    """And every template is a part, once."""
    templates = [
        file.name for file in INFRA.glob("*.yaml") if file.read_text(encoding="utf-8").startswith("AWSTemplate")
    ]
    assert sorted(part.template for part in PARTS) == sorted(templates)
