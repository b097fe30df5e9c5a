"""CloudFormation for moto: its calls answered by moto's own front, its resources made by `AppliedStack`.

Moto's engine makes no stack of these templates (it fails on pipelines and skips scaling, alarms and dashboards). What
is played here, after the API's reference: states, events, refusals, rollback of what fails, kept resources. Time passes
when somebody asks: an operation stays under way for `ASKED` descriptions.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.cloudformation.exceptions import AlreadyExistsException, ValidationError
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult, EmptyResult

from absa_server.cloud.resolver import Place
from absa_server.cloud.template import parse_template

from .applied_stack import AppliedStack
from .resource_kinds import kinds

ASKED = 1
ACCOUNT = "111122223333"
UPDATABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}


class PlantedError(Exception):
    """A resource that fails because a test says so."""


@dataclass
class Playing:
    """One stack."""

    id: str
    name: str
    status: str
    template: str
    parameters: dict[str, str]
    tags: dict[str, str]
    applied: AppliedStack
    reason: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    work: Callable[[], None] | None = None
    asked: int = 0


class StackService:
    """All stacks of one Region. `fails` holds resources, as `stack/logical`, that fail when they are next touched."""

    def __init__(self, region: str) -> None:
        self.stacks: dict[str, Playing] = {}
        self.fails: list[str] = []
        self._region = region
        self._kinds = kinds(region)
        self._numbers = itertools.count(1)
        self._at = datetime(2026, 1, 1, tzinfo=UTC)

    def named(self, name: str) -> Playing | None:
        """The stack with this name that is not deleted, or this id."""
        if name in self.stacks:
            return self.stacks[name]
        alive = (stack for stack in self.stacks.values() if stack.name == name and stack.status != "DELETE_COMPLETE")
        return next(alive, None)

    def force(self, name: str, status: str) -> None:
        """Puts a stack into a state as if AWS had."""
        stack = self._required(name)
        stack.status, stack.work = status, None

    def create(self, name: str, template: str, parameters: dict[str, str], tags: dict[str, str]) -> str:
        if self.named(name) is not None:
            raise AlreadyExistsException(f"Stack [{name}] already exists")
        number = next(self._numbers)
        stack_id = f"arn:aws:cloudformation:{self._region}:{ACCOUNT}:stack/{name}/{number}"
        applied = AppliedStack(self._kinds, Place(self._region, ACCOUNT, name))
        stack = Playing(stack_id, name, "CREATE_IN_PROGRESS", template, parameters, tags, applied)
        self.stacks[stack_id] = stack
        self._begin(stack, "CREATE_IN_PROGRESS", lambda: self._create(stack))
        return stack_id

    def update(self, name: str, template: str, parameters: dict[str, str], tags: dict[str, str]) -> str:
        stack = self._required(name)
        if stack.status not in UPDATABLE:
            raise ValidationError(message=f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
        if (template, parameters, tags) == (stack.template, stack.parameters, stack.tags):
            raise ValidationError(message="No updates are to be performed.")
        before = (stack.template, stack.parameters, stack.tags)
        stack.template, stack.parameters, stack.tags = template, parameters, tags
        self._begin(stack, "UPDATE_IN_PROGRESS", lambda: self._update(stack, before))
        return stack.id

    def delete(self, name: str) -> None:
        stack = self.named(name)
        if stack is None or stack.status == "DELETE_COMPLETE":
            return
        if stack.status.endswith("_IN_PROGRESS") and stack.status not in {"CREATE_IN_PROGRESS", "REVIEW_IN_PROGRESS"}:
            message = f"Stack [{stack.id}] cannot be deleted while in status {stack.status}"
            raise ValidationError(message=message)
        self._begin(stack, "DELETE_IN_PROGRESS", lambda: self._delete(stack))

    def continue_rollback(self, name: str) -> None:
        stack = self._required(name)
        if stack.status != "UPDATE_ROLLBACK_FAILED":
            raise ValidationError(message=f"Stack:{stack.id} is in {stack.status} state and can not continue")
        before = (stack.template, stack.parameters, stack.tags)
        self._begin(stack, "UPDATE_ROLLBACK_IN_PROGRESS", lambda: self._roll_back(stack, before))

    def describe(self, name: str | None) -> list[Playing]:
        """The stacks asked for; their operations go on meanwhile."""
        if name is None:
            return [stack for stack in self.stacks.values() if stack.status != "DELETE_COMPLETE"]
        stack = self.named(name)
        if stack is None:
            raise ValidationError(message=f"Stack with id {name} does not exist")
        self._pass_time(stack)
        return [stack]

    def _required(self, name: str) -> Playing:
        stack = self.named(name)
        if stack is None:
            raise ValidationError(message=f"Stack [{name}] does not exist")
        return stack

    def _pass_time(self, stack: Playing) -> None:
        stack.asked += 1
        if stack.work is not None and stack.asked > ASKED:
            work, stack.work = stack.work, None
            work()

    def _begin(self, stack: Playing, status: str, work: Callable[[], None]) -> None:
        stack.work, stack.asked = work, 0
        self._end(stack, status, "User Initiated")

    def _end(self, stack: Playing, status: str, reason: str = "") -> None:
        stack.status, stack.reason = status, reason
        self._event(stack, stack.name, "AWS::CloudFormation::Stack", status, reason)

    def _event(self, stack: Playing, logical: str, kind: str, status: str, reason: str = "") -> None:
        self._at += timedelta(seconds=1)
        event = {
            "EventId": f"{logical}-{next(self._numbers)}",
            "StackId": stack.id,
            "StackName": stack.name,
            "LogicalResourceId": logical,
            "ResourceType": kind,
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
            "Timestamp": self._at,
        }
        stack.events.insert(0, event)

    def _apply(self, stack: Playing, verb: str) -> str | None:
        """Why it failed, or `None`."""
        template = parse_template(stack.template, name=stack.name)
        current = ""

        def watch(logical: str) -> None:
            nonlocal current
            current = logical
            if f"{stack.name}/{logical}" in self.fails:
                self.fails.remove(f"{stack.name}/{logical}")
                raise PlantedError("planted by the test")

        try:
            stack.applied.apply(template, stack.parameters, watch=watch)
        except (PlantedError, ClientError) as error:
            kind = template["Resources"][current]["Type"]
            self._event(stack, current, kind, f"{verb}_FAILED", str(error))
            self._event(stack, "Other", "AWS::Logs::LogGroup", f"{verb}_FAILED", "Resource creation cancelled")
            return f"The following resource(s) failed to {verb.lower()}: [{current}]."
        for logical, found in stack.applied.resources.items():
            self._event(stack, logical, found.type, f"{verb}_COMPLETE")
        return None

    def _create(self, stack: Playing) -> None:
        failure = self._apply(stack, "CREATE")
        if failure is None:
            return self._end(stack, "CREATE_COMPLETE")
        self._end(stack, "ROLLBACK_IN_PROGRESS", failure)
        stack.applied.delete(is_rollback=True)
        return self._end(stack, "ROLLBACK_COMPLETE")

    def _update(self, stack: Playing, before: tuple[str, dict[str, str], dict[str, str]]) -> None:
        failure = self._apply(stack, "UPDATE")
        if failure is None:
            return self._end(stack, "UPDATE_COMPLETE")
        self._end(stack, "UPDATE_ROLLBACK_IN_PROGRESS", failure)
        return self._roll_back(stack, before)

    def _roll_back(self, stack: Playing, before: tuple[str, dict[str, str], dict[str, str]]) -> None:
        stack.template, stack.parameters, stack.tags = before
        failure = self._apply(stack, "UPDATE")
        self._end(stack, "UPDATE_ROLLBACK_FAILED" if failure else "UPDATE_ROLLBACK_COMPLETE", failure or "")

    def _delete(self, stack: Playing) -> None:
        current = ""

        def watch(logical: str) -> None:
            nonlocal current
            current = logical
            if f"{stack.name}/{logical}" in self.fails:
                self.fails.remove(f"{stack.name}/{logical}")
                raise PlantedError("planted by the test")

        try:
            stack.applied.delete(watch=watch)
        except (PlantedError, ClientError) as error:
            self._event(stack, current, stack.applied.resources[current].type, "DELETE_FAILED", str(error))
            return self._end(stack, "DELETE_FAILED", f"The following resource(s) failed to delete: [{current}].")
        return self._end(stack, "DELETE_COMPLETE")


def _pairs(items: Any, key: str, value: str) -> dict[str, str]:
    return {each[key]: each.get(value, "") for each in items or []}


def _document(stack: Playing) -> dict[str, Any]:
    outputs = stack.applied.outputs if stack.applied.resources else {}
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in stack.parameters.items()],
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        # Moto's front makes a list of it.
        "Tags": stack.tags,
    }


def _answers(service: StackService) -> Iterator[tuple[str, Callable[[Any], ActionResult]]]:
    def sent(response: Any) -> tuple[str, str, dict[str, str], dict[str, str]]:
        return (
            response._get_param("StackName"),
            response._get_param("TemplateBody"),
            _pairs(response._get_param("Parameters"), "ParameterKey", "ParameterValue"),
            _pairs(response._get_param("Tags"), "Key", "Value"),
        )

    def deleted(response: Any) -> ActionResult:
        service.delete(response._get_param("StackName"))
        return EmptyResult()

    def continued(response: Any) -> ActionResult:
        service.continue_rollback(response._get_param("StackName"))
        return EmptyResult()

    def template(response: Any) -> ActionResult:
        return ActionResult({"TemplateBody": service._required(response._get_param("StackName")).template})

    def described(response: Any) -> ActionResult:
        return ActionResult(
            {"Stacks": [_document(each) for each in service.describe(response._get_param("StackName"))]}
        )

    def events(response: Any) -> ActionResult:
        return ActionResult({"StackEvents": service._required(response._get_param("StackName")).events})

    yield "create_stack", lambda response: ActionResult({"StackId": service.create(*sent(response))})
    yield "update_stack", lambda response: ActionResult({"StackId": service.update(*sent(response))})
    yield "delete_stack", deleted
    yield "continue_update_rollback", continued
    yield "get_template", template
    yield "describe_stacks", described
    yield "describe_stack_events", events


def play_cloudformation(patch: pytest.MonkeyPatch, region: str) -> StackService:
    """Moto's CloudFormation answers from the service returned, until the patch is undone."""
    service = StackService(region)
    for name, answer in _answers(service):
        patch.setattr(CloudFormationResponse, name, answer, raising=False)
    return service
