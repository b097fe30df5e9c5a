"""The error table: which row a failure has, what is repeated, and what is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_invoke import problems
from absa_invoke.error_table import TABLE, look_up
from absa_invoke.failures import Failure

RETRIED = {"ThrottlingException", "ModelNotReadyException", "ServiceUnavailable", "no connection", "InternalFailure"}


def refused(status, **said) -> Failure:
    return Failure("ModelError", "Received …", original_status=status, original=said)


@given(status=st.integers(-5, 1100) | st.none(), said=st.text())
def test_words_of_a_container_are_repeated_for_4xx_alone(status, said):
    """With 429 and every 5xx it may have said anything, the text included."""
    problem = look_up(refused(status, message=f"<{said}>")).problem
    is_repeated = status is not None and 400 <= status < 500 and status != 429
    assert (f"<{said}>"[:1000] == problem.detail) == is_repeated
    assert 400 <= problem.kind.status < 600


@given(code=st.text())
def test_every_failure_has_a_row(code):
    """An unknown one is our fault, not the caller's."""
    assert look_up(Failure(code)).problem.kind.status in range(400, 600)


def test_specific_rows_come_before_general_ones():
    """429, 503 and 507 of a container have rows before those of all 4xx and 5xx."""
    told = {status: look_up(refused(status)).problem.kind.status for status in (429, 503, 507, 404, 500, 502, 0)}
    assert told == {429: 429, 503: 503, 507: 503, 404: 400, 500: 502, 502: 502, 0: 502}


@pytest.mark.parametrize(
    ("said", "retry_after_s"),
    [
        ({}, 1),
        ({"retry_after_s": 7}, 7),
        ({"retry_after_s": 0.2}, 1),
        ({"retry_after_s": 0}, 0),
        ({"retry_after_s": 3600}, 3600),
        ({"retry_after_s": 3601}, 1),
        ({"retry_after_s": -1}, 1),
        ({"retry_after_s": "7"}, 1),
        ({"retry_after_s": True}, 1),
        ({"retry_after_s": float("nan")}, 1),
        ({"retry_after_s": None}, 1),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 507])
def test_retry_after_is_the_containers(status, said, retry_after_s):
    """In whole seconds, up to an hour; 1 where it says nothing of use."""
    assert look_up(refused(status, **said)).problem.retry_after_s == retry_after_s


def test_other_rows_name_no_time():
    """To ask again helps only where the row says so."""
    assert look_up(refused(500, retry_after_s=7)).problem.retry_after_s is None


def test_only_these_are_tried_again():
    """Never a ModelError, never a read timeout."""
    assert {row.name for row in TABLE if row.is_retried} == RETRIED


def test_faults_are_what_nobody_can_ask_away():
    """They raise the alarm, and no others do."""
    assert {row.kind for row in TABLE if row.is_fault} == {problems.MISCONFIGURED, problems.FAULT}
    assert {row.kind.status for row in TABLE if row.is_fault} == {500}


def test_every_row_can_be_reached():
    """None is hidden by one above it."""
    samples = [refused(status) for status in (429, 503, 507, 400, 413, 415, 422, 404, 500)]
    samples += [Failure(code) for row in TABLE for code in row.codes if code != "ModelError"]
    samples += [Failure("ValidationError", "Failed to download model data"), Failure("Teapot")]
    assert {look_up(sample).row.name for sample in samples} == {row.name for row in TABLE}
