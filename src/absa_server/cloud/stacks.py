"""Stacks as CloudFormation tells of them: state, parameters, outputs, template, events. Changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from absa_server.cloud.aws import error_code, error_message

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

ENDPOINT_TAG = "absa-endpoint"
_STACK = "AWS::CloudFormation::Stack"
_BEGINNINGS = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS"}


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack, as it was when it was asked for."""

    id: str
    name: str
    status: str
    reason: str
    parameters: dict[str, str]
    outputs: dict[str, str]
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One thing that happened to one resource, or to the stack itself."""

    id: str
    at: datetime
    logical: str
    type: str
    status: str
    reason: str

    @property
    def is_of_the_stack(self) -> bool:
        """Whether it tells of the stack, not of one of its resources."""
        return self.type == _STACK

    @property
    def is_failure(self) -> bool:
        """Whether something failed by itself, not because something else did."""
        return self.status.endswith("_FAILED") and "cancelled" not in self.reason.lower()


def find_stack(cloudformation: "CloudFormationClient", name: str) -> Stack | None:
    """The stack with this name or id; by name, one that is deleted is `None`."""
    try:
        (found,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error_code(error) == "ValidationError" and "does not exist" in error_message(error):
            return None
        raise
    return _stack(found)


def stacks_of_this_project(cloudformation: "CloudFormationClient") -> Iterator[Stack]:
    """Every stack of the Region that carries the tag of an endpoint."""
    for page in cloudformation.get_paginator("describe_stacks").paginate():
        yield from (stack for stack in map(_stack, page["Stacks"]) if ENDPOINT_TAG in stack.tags)


def template_of(cloudformation: "CloudFormationClient", name: str) -> str:
    """The template that the stack was last given, word for word."""
    return str(cloudformation.get_template(StackName=name, TemplateStage="Original")["TemplateBody"])


def events_of_operation(cloudformation: "CloudFormationClient", stack_id: str) -> list[StackEvent]:
    """The events of the newest operation, the oldest first."""
    found: list[StackEvent] = []
    for event in _newest_first(cloudformation, stack_id):
        found.append(event)
        if event.is_of_the_stack and event.status in _BEGINNINGS:
            break
    return found[::-1]


def newest_event_id(cloudformation: "CloudFormationClient", stack_id: str) -> str | None:
    """The id of the last event; `None` when there is none."""
    return next((event.id for event in _newest_first(cloudformation, stack_id)), None)


def _newest_first(cloudformation: "CloudFormationClient", stack_id: str) -> Iterator[StackEvent]:
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id):
        yield from map(_event, page["StackEvents"])


def _event(found: Any) -> StackEvent:  # noqa: ANN401  the SDK's document
    return StackEvent(
        id=found["EventId"],
        at=found["Timestamp"],
        logical=found.get("LogicalResourceId", ""),
        type=found.get("ResourceType", ""),
        status=found.get("ResourceStatus", ""),
        reason=found.get("ResourceStatusReason", ""),
    )


def _stack(found: Any) -> Stack:  # noqa: ANN401  the SDK's document
    return Stack(
        id=found.get("StackId", found["StackName"]),
        name=found["StackName"],
        status=found["StackStatus"],
        reason=found.get("StackStatusReason", ""),
        parameters={each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", [])},
        outputs={each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])},
        tags={each["Key"]: each["Value"] for each in found.get("Tags", [])},
    )
