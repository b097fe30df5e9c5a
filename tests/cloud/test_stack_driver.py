"""One stack from any state to the wanted one: moto's front with CloudFormation played, and botocore's Stubber."""

from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from absa_server.cloud.errors import StackFailed
from absa_server.cloud.stack_driver import POLL_S, StackDriver, Wanted

from .scenes import REGION, Silence

TEMPLATE = """
Parameters: {Days: {Type: Number, Default: 1}}
Resources:
  First: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: one, RetentionInDays: !Ref Days}}
  Second: {Type: AWS::Logs::LogGroup, DependsOn: First, Properties: {LogGroupName: two, RetentionInDays: !Ref Days}}
Outputs: {Name: {Value: !Ref First}}
"""


def wanted(days: str = "1") -> Wanted:
    return Wanted("s", TEMPLATE, {"Days": days}, {"absa-endpoint": "absa"}, 2)


@pytest.fixture
def driver(stage, counted) -> StackDriver:
    return StackDriver(counted.clients().cloudformation(), stage.watch, sleep=lambda _: None)


def groups() -> dict[str, int]:
    found = boto3.client("logs", REGION).describe_log_groups()["logGroups"]
    return {group["logGroupName"]: group["retentionInDays"] for group in found}


def test_stack_is_created_updated_and_left_alone(driver, stage):
    """Created, then changed, then nothing to change; its outputs come back each time."""
    assert driver.bring(wanted()).outputs == {"Name": "one"}
    assert groups() == {"one": 1, "two": 1}
    assert driver.bring(wanted("3")).status == "UPDATE_COMPLETE"
    assert groups() == {"one": 3, "two": 3}
    assert driver.bring(wanted("3")).outputs == {"Name": "one"}
    assert [result for _, result in stage.watch.ended] == ["created", "updated", "unchanged"]


def test_events_are_told_once(driver, stage):
    """Each event of an operation, in order, and none of the operations before."""
    driver.bring(wanted())
    driver.bring(wanted("3"))
    ids = [event.id for _, event in stage.watch.events]
    assert len(ids) == len(set(ids))
    told = [(event.logical, event.status) for _, event in stage.watch.events if not event.is_of_the_stack]
    assert told == [
        ("First", "CREATE_COMPLETE"),
        ("Second", "CREATE_COMPLETE"),
        ("First", "UPDATE_COMPLETE"),
        ("Second", "UPDATE_COMPLETE"),
    ]


def test_creation_that_fails_names_resource_and_reason(driver, stage):
    """Not the ones that were cancelled because of it; the stack is dead, and the next run begins anew."""
    stage.service.fails.append("s/Second")
    with pytest.raises(StackFailed, match=r"(?s)ROLLBACK_COMPLETE.*Second \(AWS::Logs::LogGroup\): planted") as told:
        driver.bring(wanted())
    assert "cancelled" not in str(told.value)
    assert groups() == {}
    assert driver.bring(wanted()).status == "CREATE_COMPLETE"
    assert groups() == {"one": 1, "two": 1}


def test_update_that_fails_is_as_before(driver, stage):
    """Rolled back by CloudFormation, said so, and tried again by the next run."""
    driver.bring(wanted())
    stage.service.fails.append("s/Second")
    with pytest.raises(StackFailed, match="as it was before"):
        driver.bring(wanted("3"))
    assert groups() == {"one": 1, "two": 1}
    assert driver.bring(wanted("3")).status == "UPDATE_COMPLETE"


def test_rollback_that_failed_is_continued_first(driver, stage):
    """UPDATE_ROLLBACK_FAILED: continue, then update."""
    driver.bring(wanted())
    stage.service.fails += ["s/Second", "s/Second"]
    with pytest.raises(StackFailed, match="UPDATE_ROLLBACK_FAILED"):
        driver.bring(wanted("3"))
    assert driver.bring(wanted("3")).status == "UPDATE_COMPLETE"
    assert "continue the rollback that failed" in {doing for _, doing in stage.watch.begun}


def test_rollback_that_fails_again_is_given_up(driver, stage):
    """Continued once a run; then its reason is told, with the way out."""
    driver.bring(wanted())
    stage.service.fails += ["s/Second"] * 3
    with pytest.raises(StackFailed):
        driver.bring(wanted("3"))
    with pytest.raises(StackFailed, match="resources-to-skip"):
        driver.bring(wanted("3"))


DEAD = ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"]


@pytest.mark.parametrize("status", DEAD)
def test_dead_stack_is_deleted_and_made_anew(driver, stage, status):
    """Whatever killed it."""
    driver.bring(wanted())
    before = stage.service.named("s").id
    stage.service.force("s", status)
    assert driver.bring(wanted()).id != before
    assert groups() == {"one": 1, "two": 1}


def test_stack_that_cannot_be_deleted_is_given_up(driver, stage):
    """Once a run, with the resource that holds it; the next run tries again."""
    driver.bring(wanted())
    stage.service.fails.append("s/First")
    with pytest.raises(StackFailed, match=r"(?s)DELETE_FAILED.*First .*planted.*Remove what holds"):
        driver.remove("s")
    assert driver.remove("s")
    assert groups() == {}


def test_dead_stack_that_cannot_be_deleted_is_told(driver, stage):
    """A deployment does not delete for ever."""
    driver.bring(wanted())
    stage.service.force("s", "ROLLBACK_FAILED")
    stage.service.fails.append("s/First")
    with pytest.raises(StackFailed, match="First"):
        driver.bring(wanted())


def test_removing_what_is_not_there_is_nothing(driver):
    """No stack, no error."""
    assert driver.remove("s") is False


def test_what_is_under_way_is_waited_for(driver, stage):
    """An update begun by somebody else ends first; then ours follows."""
    driver.bring(wanted())
    stage.service.update("s", TEMPLATE, {"Days": "5"}, {})
    assert driver.bring(wanted("3")).parameters == {"Days": "3"}
    assert [doing for _, doing in stage.watch.begun] == [
        "create",
        "wait for what is under way: UPDATE_IN_PROGRESS",
        "update",
    ]


def test_deletion_under_way_is_waited_for(driver, stage):
    """Both on the way to absence and to presence."""
    driver.bring(wanted())
    stage.service.delete("s")
    assert driver.remove("s")
    driver.bring(wanted())
    stage.service.delete("s")
    assert driver.bring(wanted()).status == "CREATE_COMPLETE"


def test_settle_waits_until_nothing_is_under_way(driver, stage):
    """And returns at once where nothing is."""
    driver.settle("s")
    driver.bring(wanted())
    stage.service.update("s", TEMPLATE, {"Days": "5"}, {})
    driver.settle("s")
    assert stage.service.named("s").status == "UPDATE_COMPLETE"


# What the play above cannot show, call by call.


def stack(status: str, reason: str = "") -> dict:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return {
        "StackId": "arn:s",
        "StackName": "s",
        "StackStatus": status,
        "StackStatusReason": reason,
        "CreationTime": at,
    }


def event(number: int, logical: str, status: str, reason: str = "") -> dict:
    kind = "AWS::CloudFormation::Stack" if logical == "s" else "AWS::SageMaker::Endpoint"
    return {
        "StackId": "arn:s", "EventId": str(number), "StackName": "s", "LogicalResourceId": logical,
        "ResourceType": kind, "ResourceStatus": status, "ResourceStatusReason": reason,
        "Timestamp": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip


@pytest.fixture
def stubbed():
    client = boto3.client("cloudformation", REGION, aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def described(stubber: Stubber, status: str, reason: str = "") -> None:
    stubber.add_response("describe_stacks", {"Stacks": [stack(status, reason)]}, {"StackName": ANY})


def told(stubber: Stubber, *events: dict, token: str | None = None, after: str | None = None) -> None:
    page = {"StackEvents": list(events)} | ({"NextToken": token} if token else {})
    arguments = {"StackName": "arn:s"} | ({"NextToken": after} if after else {})
    stubber.add_response("describe_stack_events", page, arguments)


def test_no_updates_by_awss_own_words(stubbed):
    """The error that CloudFormation answers an update with which changes nothing."""
    client, stubber = stubbed
    described(stubber, "UPDATE_ROLLBACK_COMPLETE")
    told(stubber, event(1, "s", "UPDATE_ROLLBACK_COMPLETE"))
    stubber.add_client_error("update_stack", "ValidationError", "No updates are to be performed.")
    watch = Silence()
    assert StackDriver(client, watch).bring(wanted()).status == "UPDATE_ROLLBACK_COMPLETE"
    assert watch.ended == [("s", "unchanged")]


def test_failure_on_the_second_page_of_events_is_told(stubbed):
    """With the hint that belongs to it; the wait between two questions is the driver's."""
    client, stubber = stubbed
    slept: list[float] = []
    stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id s does not exist")
    stubber.add_response("create_stack", {"StackId": "arn:s"})
    described(stubber, "CREATE_IN_PROGRESS")
    told(stubber, event(1, "s", "CREATE_IN_PROGRESS"))
    described(stubber, "ROLLBACK_COMPLETE")
    why = "The primary container did not pass the ping health check."
    failed = [event(3, "s", "ROLLBACK_COMPLETE"), event(2, "Endpoint", "CREATE_FAILED", why)]
    for _ in range(2):
        told(stubber, failed[0], token="more")
        told(stubber, failed[1], event(1, "s", "CREATE_IN_PROGRESS"), after="more")
    with pytest.raises(StackFailed, match=r"(?s)Endpoint .*ping health check.*log group"):
        StackDriver(client, Silence(), sleep=slept.append).bring(wanted())
    assert slept == [POLL_S]


def test_stack_without_a_failed_resource_tells_its_own_reason(stubbed):
    """Such as a template that CloudFormation could not process."""
    client, stubber = stubbed
    stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id s does not exist")
    stubber.add_response("create_stack", {"StackId": "arn:s"})
    described(stubber, "ROLLBACK_COMPLETE", "Transform failed")
    for _ in range(2):
        told(stubber, event(2, "s", "ROLLBACK_COMPLETE", "Transform failed"))
    with pytest.raises(StackFailed, match="Transform failed"):
        StackDriver(client, Silence()).bring(wanted())


def test_quicker_colleague_is_waited_for(stubbed):
    """Somebody created the stack between question and call: ask again, do not fail."""
    client, stubber = stubbed
    stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id s does not exist")
    stubber.add_client_error("create_stack", "AlreadyExistsException", "Stack [s] already exists")
    described(stubber, "CREATE_COMPLETE")
    told(stubber, event(1, "s", "CREATE_COMPLETE"))
    stubber.add_client_error("update_stack", "ValidationError", "No updates are to be performed.")
    assert StackDriver(client, Silence()).bring(wanted()).status == "CREATE_COMPLETE"


def test_stack_that_somebody_changes_all_the_time_is_given_up(stubbed):
    """After eight attempts, not never."""
    client, stubber = stubbed
    for _ in range(8):
        described(stubber, "UPDATE_COMPLETE")
        told(stubber, event(1, "s", "UPDATE_COMPLETE"))
        message = "Stack:arn:s is in UPDATE_IN_PROGRESS state and can not be updated."
        stubber.add_client_error("update_stack", "ValidationError", message)
    with pytest.raises(StackFailed, match="somebody else"):
        StackDriver(client, Silence()).bring(wanted())


@pytest.mark.parametrize("code", ["AccessDenied", "ValidationError"])
def test_other_refusals_are_not_swallowed(stubbed, code):
    """Neither missing rights nor another validation error looks like a race."""
    client, stubber = stubbed
    described(stubber, "UPDATE_COMPLETE")
    told(stubber, event(1, "s", "UPDATE_COMPLETE"))
    stubber.add_client_error("update_stack", code, "Parameters: [Days] do not exist in the template")
    with pytest.raises(ClientError, match=code):
        StackDriver(client, Silence()).bring(wanted())


def test_import_that_failed_names_the_stack(stubbed):
    """What we cannot repair is said, not tried."""
    client, stubber = stubbed
    described(stubber, "IMPORT_ROLLBACK_FAILED")
    with pytest.raises(StackFailed, match="s: the stack is IMPORT_ROLLBACK_FAILED"):
        StackDriver(client, Silence()).bring(wanted())
