"""One stack brought to a template, or away, from whatever state it is in; followed until CloudFormation has ended.

Nothing is remembered between two runs: each begins by asking for the state, so that a run that was interrupted anywhere
is continued by running it again. Knows nothing of what the templates are for.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

from absa_server.cloud.aws import error_code, error_message
from absa_server.cloud.errors import StackFailed
from absa_server.cloud.failure_hints import hint_for
from absa_server.cloud.stack_states import ABSENT, USABLE, Step, is_under_way, step_to_absent, step_to_present
from absa_server.cloud.stacks import (
    Stack,
    StackEvent,
    events_of_operation,
    find_stack,
    newest_event_id,
)

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, TagTypeDef

# CloudFormation's events come in seconds, its quota of describing calls is shared by the account.
POLL_S = 3.0
# Of one run: wait, delete, create, continue a rollback … Whoever needs more shares the stack with somebody else.
MAX_STEPS = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stack as it should be."""

    name: str
    template: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    resources: int = 0


class Watch(Protocol):
    """Whoever is told what happens; see commands/stack_progress.py."""

    def begin(self, stack: str, doing: str, resources: int) -> None:
        """An operation begins, or is found under way; 0 resources: nobody knows how many."""

    def event(self, stack: str, event: StackEvent) -> None:
        """CloudFormation has told of a resource."""

    def end(self, stack: str, result: str) -> None:
        """Nothing more will be done to this stack."""


class StackDriver:
    """Hands templates to CloudFormation, one stack at a time."""

    def __init__(
        self, cloudformation: "CloudFormationClient", watch: Watch, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._cloudformation = cloudformation
        self._watch = watch
        self._sleep = sleep

    def find(self, name: str) -> Stack | None:
        """The stack as it is now."""
        return find_stack(self._cloudformation, name)

    def settle(self, name: str) -> None:
        """Wait until nothing is under way in the stack, whoever began it."""
        while (stack := self.find(name)) is not None and is_under_way(stack.status):
            self._follow(stack, Step.WAIT.value)

    def bring(self, wanted: Wanted) -> Stack:
        """The stack once it is as wanted. Raises `StackFailed`, with the resource and the reason."""
        tried: set[Step] = set()
        for _ in range(MAX_STEPS):
            stack = self.find(wanted.name)
            step = self._next(step_to_present, stack)
            if step is Step.WAIT and stack is not None:
                self._follow(stack, step.value)
            elif step in tried and step in {Step.DELETE, Step.CONTINUE_ROLLBACK} and stack is not None:
                raise StackFailed(self._told(stack))
            elif step is Step.DELETE and stack is not None:
                self._delete(stack, f"delete, for it is {stack.status}")
            elif step is Step.CONTINUE_ROLLBACK and stack is not None:
                self._continue_rollback(stack)
            elif (done := self._change(wanted, stack)) is not None:
                return done
            tried.add(step)
        raise StackFailed(f"{wanted.name}: changed by somebody else all the time; run this again when that has ended")

    def remove(self, name: str) -> bool:
        """Whether there was a stack; it is gone afterwards. Raises `StackFailed`."""
        stack, was_there, is_tried = self.find(name), False, False
        while stack is not None and (step := self._next(step_to_absent, stack)) is not Step.NOTHING:
            was_there = True
            if step is Step.WAIT:
                stack = self._follow(stack, step.value)
                continue
            if is_tried:
                raise StackFailed(self._told(stack))
            is_tried = True
            stack = self._delete(stack, "delete")
        if was_there:
            self._watch.end(name, "deleted")
        return was_there

    def _next(self, rule: Callable[[str | None], Step], stack: Stack | None) -> Step:
        try:
            return rule(stack.status if stack else None)
        except StackFailed as failure:
            raise StackFailed(f"{stack.name if stack else ''}: {failure}") from None

    def _change(self, wanted: Wanted, stack: Stack | None) -> Stack | None:
        """The stack created or updated; `None` when somebody else was quicker, and its state has to be asked again."""
        last = newest_event_id(self._cloudformation, stack.id) if stack else None
        doing = "update" if stack else "create"
        try:
            stack_id = self._send(wanted, is_new=stack is None)
        except ClientError as error:
            if stack is not None and "No updates are to be performed" in error_message(error):
                self._watch.end(wanted.name, "unchanged")
                return stack
            if _is_race(error):
                return None
            raise
        changed = self._follow_id(stack_id, wanted.name, doing, last=last, resources=wanted.resources)
        if changed is None or changed.status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            raise StackFailed(self._told(changed) if changed else f"{wanted.name}: deleted meanwhile by somebody else")
        self._watch.end(wanted.name, f"{doing}d")
        return changed

    def _send(self, wanted: Wanted, *, is_new: bool) -> str:
        parameters: list[ParameterTypeDef] = [
            {"ParameterKey": name, "ParameterValue": value} for name, value in sorted(wanted.parameters.items())
        ]
        tags: list[TagTypeDef] = [{"Key": name, "Value": value} for name, value in sorted(wanted.tags.items())]
        call = self._cloudformation.create_stack if is_new else self._cloudformation.update_stack
        answer = call(
            StackName=wanted.name,
            TemplateBody=wanted.template,
            Parameters=parameters,
            Tags=tags,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        return answer["StackId"]

    def _delete(self, stack: Stack, doing: str) -> Stack | None:
        last = newest_event_id(self._cloudformation, stack.id)
        self._cloudformation.delete_stack(StackName=stack.id)
        return self._follow_id(stack.id, stack.name, doing, last=last)

    def _continue_rollback(self, stack: Stack) -> None:
        last = newest_event_id(self._cloudformation, stack.id)
        self._cloudformation.continue_update_rollback(StackName=stack.name)
        self._follow_id(stack.id, stack.name, Step.CONTINUE_ROLLBACK.value, last=last)

    def _follow(self, stack: Stack, doing: str) -> Stack | None:
        return self._follow_id(stack.id, stack.name, f"{doing}: {stack.status}", last=None)

    def _follow_id(self, stack_id: str, name: str, doing: str, *, last: str | None, resources: int = 0) -> Stack | None:
        """The stack when nothing is under way any more. A deleted one is still found by its id."""
        self._watch.begin(name, doing, resources)
        seen: set[str] = {last} if last else set()
        while True:
            stack = find_stack(self._cloudformation, stack_id)
            if stack is not None:
                self._tell_new_events(stack, seen, after=last)
            if stack is None or stack.status in ABSENT or not is_under_way(stack.status):
                return stack
            self._sleep(POLL_S)

    def _tell_new_events(self, stack: Stack, seen: set[str], *, after: str | None) -> None:
        events = events_of_operation(self._cloudformation, stack.id)
        # Right after the call the newest operation may still be the one before.
        begin = next((place + 1 for place, event in enumerate(events) if event.id == after), 0)
        for event in events[begin:]:
            if event.id not in seen:
                seen.add(event.id)
                self._watch.event(stack.name, event)

    def _told(self, stack: Stack) -> str:
        """Why a stack is not as it should be: the first resources that failed, and what can be done."""
        events = events_of_operation(self._cloudformation, stack.id)
        failed = [event for event in events if event.is_failure and not event.is_of_the_stack]
        lines = [f"{event.logical} ({event.type}): {event.reason}" for event in failed[:3]]
        lines = lines or [stack.reason or "CloudFormation gives no reason"]
        is_back = stack.status in USABLE
        state = f"{stack.name} is {stack.status}" + (", as it was before" if is_back else "")
        hints = [hint for hint in (hint_for(stack.status, line) for line in lines) if hint]
        return "\n".join([f"{state}.", *lines, *dict.fromkeys(hints)])


def _is_race(error: ClientError) -> bool:
    """Whether the stack's state has changed between the question and the call."""
    said = error_message(error)
    return (
        error_code(error) == "AlreadyExistsException"
        or (said.startswith("Stack") and "does not exist" in said)
        or ("state and can" in said and "not" in said)
    )
