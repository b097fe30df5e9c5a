"""An endpoint as `absa status` reads it: on moto, and by answers laid down where moto has none."""

import json
import time
from datetime import UTC, datetime

import boto3
import pytest

from absa_server.cloud.errors import NothingToDo, Refused
from absa_server.cloud.inquiry import Inquiry, open_inquiry
from absa_server.cloud.resolver import Place
from absa_server.cloud.status import read_status
from absa_server.cloud.template import read_template
from tests.infra.stacks import INFRA, PARAMETERS

from .applied_stack import AppliedStack
from .resource_kinds import kinds
from .stubbed import Stubbed, inquiry

WHEN = datetime(2026, 11, 24, 12, tzinfo=UTC)
ACTIVITY = {
    "ActivityId": "1", "ServiceNamespace": "sagemaker", "ResourceId": "endpoint/absa/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount", "Description": "Setting desired capacity to 4",
    "Cause": "alarm", "StartTime": WHEN, "StatusCode": "Successful",
}  # fmt: skip


def deployed(region: str) -> None:
    """The endpoint template, applied to moto."""
    stack = AppliedStack(kinds(region), Place(region=region))
    stack.apply(read_template(INFRA / "endpoint.yaml"), PARAMETERS["endpoint"])


def logged(region: str, *messages: str) -> None:
    client, group = boto3.client("logs", region), "/aws/sagemaker/Endpoints/absa"
    client.create_log_stream(logGroupName=group, logStreamName="AllTraffic/i-1")
    now_ms = int(time.time() * 1000)
    events = [{"timestamp": now_ms - 1000 + place, "message": message} for place, message in enumerate(messages)]
    client.put_log_events(logGroupName=group, logStreamName="AllTraffic/i-1", logEvents=events)


def read(of: Inquiry, *, most_errors: int = 10):
    return read_status(of, "absa", since_ms=int(time.time() * 1000) - 3_600_000, most_errors=most_errors)


UNSCALED = "application-autoscaling"


def unscaled() -> Stubbed:
    return Stubbed(UNSCALED, ("describe_scalable_targets", {"ScalableTargets": []}))


def test_endpoint_is_told_whole(account):
    """State, instances, bounds, policies, activities and errors, the newest first; of the log, errors alone."""
    deployed(account)
    error = {"level": "ERROR", "event": "model_load_failed", "reason": "no such file"}
    logged(account, json.dumps({"level": "INFO", "event": "request"}), json.dumps(error), "not JSON", '{"_aws": {}}',
           json.dumps({"level": "CRITICAL", "event": "crashed", "exc_info": "Traceback\nValueError: x"}))  # fmt: skip
    real = open_inquiry(account, None)
    # Moto has no activities: that client's answers are laid down, and everything else is moto's.
    scaling = real.client("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    targets = [target | {"RoleARN": "arn:aws:iam::111122223333:role/service-linked"}]  # which moto leaves out
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    stubbed = Stubbed(
        "application-autoscaling",
        ("describe_scalable_targets", {"ScalableTargets": targets}),
        ("describe_scaling_policies", {"ScalingPolicies": policies}),
        ("describe_scaling_activities", {"ScalingActivities": [ACTIVITY]}),
    )
    found = read(Inquiry(real.session, {"application-autoscaling": stubbed.client}))
    assert (found.status, found.is_healthy, found.unanswered) == ("InService", True, {})
    (variant,) = found.variants
    assert (variant.name, variant.current, variant.desired) == ("AllTraffic", 2, 2)
    (of_variant,) = found.scaling
    assert (of_variant.variant, of_variant.least, of_variant.most) == ("AllTraffic", 2, 10)
    assert {policy.metric: policy.target for policy in of_variant.policies} == {
        "SageMakerVariantInvocationsPerInstance": 1200.0,
        "SageMakerVariantConcurrentRequestsPerModelHighResolution": 4.0,
    }
    assert [activity.description for activity in of_variant.activities] == ["Setting desired capacity to 4"]
    assert [error.said for error in found.errors] == ["crashed; ValueError: x", "model_load_failed; no such file"]
    assert found.errors[0].stream == "AllTraffic/i-1"
    stubbed.close()


def test_number_of_errors_is_bounded(account):
    """Of three, the newest two."""
    deployed(account)
    logged(account, *(json.dumps({"level": "ERROR", "event": f"e{number}"}) for number in range(3)))
    session = open_inquiry(account, None).session
    assert [error.said for error in read(Inquiry(session, {UNSCALED: unscaled().client}), most_errors=2).errors] == [
        "e2",
        "e1",
    ]


def test_endpoint_that_is_not_there_is_named(account):
    """With the Region that was asked."""
    with pytest.raises(NothingToDo, match=account):
        read(open_inquiry(account, None))


DESCRIBED = {
    "EndpointName": "absa", "EndpointArn": "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/absa",
    "EndpointConfigName": "c", "EndpointStatus": "InService", "CreationTime": WHEN, "LastModifiedTime": WHEN,
}  # fmt: skip


def test_parts_that_may_not_be_read_are_told_and_the_rest_shown():
    """Neither the log nor the scaling hides the endpoint."""
    found = read(
        inquiry(
            sagemaker=Stubbed("sagemaker", ("describe_endpoint", DESCRIBED)),
            application_autoscaling=Stubbed(
                "application-autoscaling", ("describe_scalable_targets", "AccessDeniedException")
            ),
            logs=Stubbed("logs", ("filter_log_events", "ResourceNotFoundException")),
        )
    )
    assert found.is_healthy
    assert set(found.unanswered) == {"scaling", "log"}
    assert "AccessDeniedException" in found.unanswered["scaling"]


@pytest.mark.parametrize(
    ("status", "failure", "is_healthy"),
    [("InService", None, True), ("Updating", None, True), ("Creating", None, False), ("Failed", "no ping", False),
     ("InService", "the update was rolled back", False)],
)  # fmt: skip
def test_health_is_the_platforms_word(status, failure, is_healthy):
    """What answers is healthy; an update that failed is told although the old fleet answers."""
    described = DESCRIBED | {"EndpointStatus": status} | ({"FailureReason": failure} if failure else {})
    found = read(
        inquiry(
            sagemaker=Stubbed("sagemaker", ("describe_endpoint", described)),
            application_autoscaling=Stubbed(
                "application-autoscaling", ("describe_scalable_targets", {"ScalableTargets": []})
            ),
            logs=Stubbed("logs", ("filter_log_events", {"events": []})),
        )
    )
    assert (found.is_healthy, found.failure) == (is_healthy, failure)


def test_empty_pages_of_the_log_are_not_its_end():
    """CloudWatch answers in pages of which some are empty."""
    event = {"timestamp": 1_700_000_000_000, "message": '{"level": "ERROR", "event": "late"}', "logStreamName": "s"}
    logs = Stubbed(
        "logs",
        ("filter_log_events", {"events": [], "nextToken": "more"}),
        ("filter_log_events", {"events": [event]}),
    )
    empty = Stubbed("application-autoscaling", ("describe_scalable_targets", {"ScalableTargets": []}))
    described = Stubbed("sagemaker", ("describe_endpoint", DESCRIBED))
    found = read(inquiry(sagemaker=described, application_autoscaling=empty, logs=logs))
    assert [error.said for error in found.errors] == ["late"]
    logs.close()


def test_denied_look_at_the_endpoint_is_refused():
    """Nothing can be shown then."""
    with pytest.raises(Refused, match="AccessDenied"):
        read(inquiry(sagemaker=Stubbed("sagemaker", ("describe_endpoint", "AccessDeniedException"))))
