"""An endpoint as it is now: its state, instances, scaling, last errors. Reads; changes nothing.

Each part is asked by itself: rights to look at an endpoint do not always come with rights to read its log.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from absa_server.cloud.errors import NothingToDo, Refused
from absa_server.cloud.inquiry import QUESTION_ERRORS, Inquiry, code_of, told

T = TypeVar("T")

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
# Events of levels that somebody should see; the container's lines are JSON.
ERRORS = '{ ($.level = "ERROR") || ($.level = "CRITICAL") }'
_LEVELS = {"ERROR", "CRITICAL"}
# Pages of a log that are looked through: a page may be empty and yet not the last.
_MOST_PAGES = 20
_SAID = ("event", "reason", "message", "exc_info")


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant's instances; `image` as its endpoint resolved it. None where SageMaker does not say."""

    name: str
    current: int | None
    desired: int | None
    weight: float | None
    image: str | None


@dataclass(frozen=True, slots=True)
class Policy:
    """One scaling policy and what it keeps where."""

    name: str
    metric: str
    target: float | None


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing that scaling has done."""

    at: str
    status: str
    description: str
    cause: str


@dataclass(frozen=True, slots=True)
class Scaling:
    """Of one variant: bounds, policies, and what was done last, newest first."""

    variant: str
    least: int
    most: int
    policies: list[Policy]
    activities: list[Activity]


@dataclass(frozen=True, slots=True)
class LoggedError:
    """One line of the log."""

    at: str
    stream: str
    said: str


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """All of it. `unanswered` tells, for each part that could not be had, why."""

    name: str
    region: str
    status: str
    config: str
    changed: str
    failure: str | None
    variants: list[Variant]
    scaling: list[Scaling] = field(default_factory=list)
    errors: list[LoggedError] = field(default_factory=list)
    unanswered: dict[str, str] = field(default_factory=dict)

    @property
    def is_healthy(self) -> bool:
        """Whether it answers requests."""
        return self.status in {"InService", "Updating", "SystemUpdating"} and self.failure is None


def read_status(inquiry: Inquiry, endpoint: str, *, since_ms: int, most_errors: int) -> EndpointStatus:
    """The endpoint now, with errors logged after `since_ms` (Unix time), newest first.

    Raises `NothingToDo` when there is no such endpoint, `Refused` when it may not be looked at.
    """
    described = _describe(inquiry, endpoint)
    variants = [_variant(each) for each in described.get("ProductionVariants", [])]
    unanswered: dict[str, str] = {}
    scaling = _answered("scaling", unanswered, lambda: _scaling(inquiry, endpoint))
    errors = _answered("log", unanswered, lambda: _errors(inquiry, endpoint, since_ms))
    return EndpointStatus(
        name=endpoint,
        region=inquiry.region,
        status=str(described["EndpointStatus"]),
        config=str(described.get("EndpointConfigName", "")),
        changed=_time(described.get("LastModifiedTime")),
        failure=described.get("FailureReason"),
        variants=variants,
        scaling=scaling,
        errors=errors[:most_errors],
        unanswered=unanswered,
    )


def _answered(part: str, unanswered: dict[str, str], ask: Callable[[], list[T]]) -> list[T]:
    try:
        return ask()
    except QUESTION_ERRORS as error:
        unanswered[part] = told(error)
        return []


def _describe(inquiry: Inquiry, endpoint: str) -> dict[str, Any]:
    try:
        described: dict[str, Any] = inquiry.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    except QUESTION_ERRORS as error:
        if code_of(error) == "ValidationException":
            raise NothingToDo(f"there is no endpoint {endpoint} in {inquiry.region}; is it another Region?") from error
        raise Refused(told(error)) from error
    return described


def _variant(described: dict[str, Any]) -> Variant:
    images = [
        str(each.get("ResolvedImage") or each.get("SpecifiedImage")) for each in described.get("DeployedImages", [])
    ]
    return Variant(
        name=str(described["VariantName"]),
        current=described.get("CurrentInstanceCount"),
        desired=described.get("DesiredInstanceCount"),
        weight=described.get("CurrentWeight"),
        image=", ".join(dict.fromkeys(images)) or None,
    )


def _scaling(inquiry: Inquiry, endpoint: str) -> list[Scaling]:
    client = inquiry.client("application-autoscaling")
    of_service = {"ServiceNamespace": NAMESPACE, "ScalableDimension": DIMENSION}
    targets = client.describe_scalable_targets(**of_service)["ScalableTargets"]
    found = []
    for target in targets:
        resource = str(target["ResourceId"])
        if not resource.startswith(f"endpoint/{endpoint}/variant/"):
            continue
        policies = client.describe_scaling_policies(**of_service, ResourceId=resource)["ScalingPolicies"]
        activities = client.describe_scaling_activities(**of_service, ResourceId=resource, MaxResults=10)
        found.append(
            Scaling(
                resource.rsplit("/", 1)[-1],
                int(target["MinCapacity"]),
                int(target["MaxCapacity"]),
                [_policy(each) for each in policies],
                [_activity(each) for each in activities["ScalingActivities"]],
            )
        )
    return found


def _policy(described: dict[str, Any]) -> Policy:
    tracking = described.get("TargetTrackingScalingPolicyConfiguration", {})
    own = tracking.get("CustomizedMetricSpecification", {})
    metric = tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType") or own.get("MetricName")
    return Policy(str(described["PolicyName"]), str(metric or described["PolicyType"]), tracking.get("TargetValue"))


def _activity(described: dict[str, Any]) -> Activity:
    return Activity(
        _time(described.get("StartTime")),
        str(described["StatusCode"]),
        str(described.get("Description", "")),
        str(described.get("StatusMessage") or described.get("Cause", "")),
    )


def _errors(inquiry: Inquiry, endpoint: str, since_ms: int) -> list[LoggedError]:
    client = inquiry.client("logs")
    wanted: dict[str, Any] = {
        "logGroupName": f"/aws/sagemaker/Endpoints/{endpoint}",
        "startTime": since_ms,
        "filterPattern": ERRORS,
    }
    events: list[dict[str, Any]] = []
    for _ in range(_MOST_PAGES):
        page = client.filter_log_events(**wanted)
        events += page.get("events", [])
        if not page.get("nextToken"):
            break
        wanted["nextToken"] = page["nextToken"]
    found = [_logged(event) for event in sorted(events, key=lambda event: -event["timestamp"])]
    return [error for error in found if error is not None]


def _logged(event: dict[str, Any]) -> LoggedError | None:
    try:
        line = json.loads(event["message"])
    except ValueError:
        return None
    if not isinstance(line, dict) or line.get("level") not in _LEVELS:
        return None
    said = "; ".join(str(line[name]).strip().splitlines()[-1] for name in _SAID if line.get(name))
    at = datetime.fromtimestamp(event["timestamp"] / 1000).astimezone()
    return LoggedError(_time(at), str(event.get("logStreamName", "")), said)


def _time(value: datetime | None) -> str:
    return value.astimezone().isoformat(timespec="seconds") if value else ""
