"""Every state that CloudFormation's API knows, and what is done about it."""

import botocore.session
import pytest

from absa_server.cloud.errors import StackFailed
from absa_server.cloud.stack_states import Step, is_under_way, step_to_absent, step_to_present

MODEL = botocore.session.get_session().get_service_model("cloudformation")
STATES = MODEL.shape_for("StackStatus").enum

PRESENT = {
    None: Step.CREATE,
    "DELETE_COMPLETE": Step.CREATE,
    "CREATE_FAILED": Step.DELETE,
    "ROLLBACK_COMPLETE": Step.DELETE,
    "ROLLBACK_FAILED": Step.DELETE,
    "DELETE_FAILED": Step.DELETE,
    "REVIEW_IN_PROGRESS": Step.DELETE,
    "CREATE_COMPLETE": Step.UPDATE,
    "UPDATE_COMPLETE": Step.UPDATE,
    "UPDATE_FAILED": Step.UPDATE,
    "UPDATE_ROLLBACK_COMPLETE": Step.UPDATE,
    "IMPORT_COMPLETE": Step.UPDATE,
    "IMPORT_ROLLBACK_COMPLETE": Step.UPDATE,
    "UPDATE_ROLLBACK_FAILED": Step.CONTINUE_ROLLBACK,
    "CREATE_IN_PROGRESS": Step.WAIT,
    "ROLLBACK_IN_PROGRESS": Step.WAIT,
    "DELETE_IN_PROGRESS": Step.WAIT,
    "UPDATE_IN_PROGRESS": Step.WAIT,
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": Step.WAIT,
    "UPDATE_ROLLBACK_IN_PROGRESS": Step.WAIT,
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": Step.WAIT,
    "IMPORT_IN_PROGRESS": Step.WAIT,
    "IMPORT_ROLLBACK_IN_PROGRESS": Step.WAIT,
}


def test_every_state_of_the_api_is_decided():
    """A state that is new in the API shows up here."""
    assert set(STATES) == (set(PRESENT) - {None}) | {"IMPORT_ROLLBACK_FAILED"}


@pytest.mark.parametrize(("status", "step"), PRESENT.items())
def test_step_to_present(status, step):
    """What is usable is updated, what is dead deleted, what is stuck continued, what is under way waited for."""
    assert step_to_present(status) is step


def test_state_beyond_us_is_told():
    """A failed import is nobody's but its owner's."""
    with pytest.raises(StackFailed, match="IMPORT_ROLLBACK_FAILED"):
        step_to_present("IMPORT_ROLLBACK_FAILED")


@pytest.mark.parametrize("status", STATES)
def test_step_to_absent(status):
    """Everything is deleted that is not gone or under way, dead stacks included."""
    expected = Step.NOTHING if status == "DELETE_COMPLETE" else Step.WAIT if is_under_way(status) else Step.DELETE
    assert step_to_absent(status) is expected
    assert step_to_absent(None) is Step.NOTHING
