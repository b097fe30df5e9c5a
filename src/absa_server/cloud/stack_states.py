"""What to do next with a stack, from the state it is in: pure functions, one row a state of CloudFormation.

Source: the API's StackStatus, and docs "Stack status codes" and "Update behaviors". Knows no client.
"""

from enum import Enum

from absa_server.cloud.errors import StackFailed


class Step(Enum):
    """One step on a stack's way."""

    CREATE = "create"
    UPDATE = "update"
    WAIT = "wait for what is under way"
    DELETE = "delete"
    CONTINUE_ROLLBACK = "continue the rollback that failed"
    NOTHING = "nothing"


ABSENT = {"DELETE_COMPLETE"}
USABLE = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
    # Only where somebody has told CloudFormation to leave a failed update as it is.
    "UPDATE_FAILED",
}
# Never came to life, or half deleted: only deletion is allowed. A change set never run leaves REVIEW_IN_PROGRESS.
DEAD = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"}
STUCK = {"UPDATE_ROLLBACK_FAILED"}
BEYOND_US = {"IMPORT_ROLLBACK_FAILED"}


def is_under_way(status: str) -> bool:
    """Whether CloudFormation is at work, so that waiting will end."""
    return status.endswith("_IN_PROGRESS") and status not in DEAD


def step_to_present(status: str | None) -> Step:
    """The next step towards the wanted template; `None`: there is no such stack. Raises `StackFailed`."""
    if status is None or status in ABSENT:
        return Step.CREATE
    if is_under_way(status):
        return Step.WAIT
    if status in DEAD:
        return Step.DELETE
    if status in STUCK:
        return Step.CONTINUE_ROLLBACK
    if status in USABLE:
        return Step.UPDATE
    raise StackFailed(f"the stack is {status}: repair it in the CloudFormation console, then run this again")


def step_to_absent(status: str | None) -> Step:
    """The next step towards no stack at all."""
    if status is None or status in ABSENT:
        return Step.NOTHING
    return Step.WAIT if is_under_way(status) else Step.DELETE
