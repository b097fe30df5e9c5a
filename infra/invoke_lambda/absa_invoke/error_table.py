"""The one table from what failed to what the caller is told, and whether it is tried again.

The first row that fits counts. Knows no HTTP and no boto3. What a container itself said is repeated for its 4xx alone:
with a 5xx it may have said anything.
"""

from dataclasses import dataclass, field
from typing import Literal

from absa_invoke import problems
from absa_invoke.failures import DROPPED, NOT_CONNECTED, OUT_OF_TIME, READ_TIMEOUT, Failure
from absa_invoke.problems import Kind, Problem

# Where the container, or AWS, names no time.
DEFAULT_RETRY_AFTER_S = 1
MAX_ECHOED_CHARS = 1000

MODEL_ERROR = frozenset({"ModelError"})
ANY_STATUS = range(-1, 1000)


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `statuses` are a ModelError's OriginalStatusCode, `says` words of AWS's message; empty fits all."""

    name: str
    codes: frozenset[str]
    kind: Kind
    detail: str
    statuses: frozenset[int] | range = ANY_STATUS
    says: str = ""
    retry_after: Literal["never", "body", "fixed"] = "never"
    echoes: bool = False
    is_retried: bool = False
    # Nobody can repair it by asking otherwise: it is counted as a fault, for an alarm.
    is_fault: bool = False

    def fits(self, failure: Failure) -> bool:
        """Whether this is the row of the failure, when none before it is."""
        status = failure.original_status
        return (
            (not self.codes or failure.code in self.codes)
            and (self.statuses is ANY_STATUS or status in self.statuses)
            and self.says in failure.message
        )

    def problem(self, failure: Failure) -> Problem:
        """What the caller is told."""
        said = failure.original.get("message")
        detail = said[:MAX_ECHOED_CHARS] if self.echoes and isinstance(said, str) else self.detail
        retry_after_s = None if self.retry_after == "never" else DEFAULT_RETRY_AFTER_S
        if self.retry_after == "body" and failure.retry_after_s is not None:
            retry_after_s = failure.retry_after_s
        return Problem(self.kind, detail, retry_after_s=retry_after_s)


@dataclass(frozen=True, slots=True)
class Told:
    """A failure with its row."""

    row: Row
    failure: Failure
    problem: Problem = field(compare=False)


def _refused(status: int, kind: Kind) -> Row:
    detail = f"The model refused the request with status {status}."
    return Row(f"container {status}", MODEL_ERROR, kind, detail, statuses=frozenset({status}), echoes=True)


_BUSY = "The model has more requests than it can answer; ask again after Retry-After."
_AWAY = "This cannot be answered just now; ask again after Retry-After."
_BROKEN = "The model, or what it needs, failed on this request; the same request may fail again."
_SETUP = "The API and its endpoint do not fit together; this is not the request's fault."

TABLE = (
    Row(
        "container 429",
        MODEL_ERROR,
        problems.TOO_MANY_REQUESTS,
        _BUSY,
        statuses=frozenset({429}),
        retry_after="body",
    ),
    Row(
        "container 503, 507",
        MODEL_ERROR,
        problems.UNAVAILABLE,
        _AWAY,
        statuses=frozenset({503, 507}),
        retry_after="body",
    ),
    _refused(400, problems.INVALID_REQUEST),
    _refused(413, problems.TOO_LARGE),
    _refused(415, problems.UNSUPPORTED_MEDIA_TYPE),
    _refused(422, problems.UNPROCESSABLE),
    Row(
        "container, any other 4xx",
        MODEL_ERROR,
        problems.INVALID_REQUEST,
        "The model refused the request.",
        statuses=range(400, 500),
        echoes=True,
    ),
    # Also 0, which SageMaker writes when the container was silent for too long, or broke the connection.
    Row("container 5xx, or nothing", MODEL_ERROR, problems.BAD_GATEWAY, _BROKEN),
    Row(
        "ThrottlingException",
        frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException"}),
        problems.TOO_MANY_REQUESTS,
        _BUSY,
        retry_after="fixed",
        is_retried=True,
    ),
    Row(
        "ModelNotReadyException",
        frozenset({"ModelNotReadyException"}),
        problems.UNAVAILABLE,
        "The model is still being loaded; ask again after Retry-After.",
        retry_after="fixed",
        is_retried=True,
    ),
    Row(
        "ServiceUnavailable",
        frozenset({"ServiceUnavailable", "ServiceUnavailableException", "SlowDown"}),
        problems.UNAVAILABLE,
        _AWAY,
        retry_after="fixed",
        is_retried=True,
    ),
    Row(
        "no connection",
        frozenset({NOT_CONNECTED}),
        problems.UNAVAILABLE,
        _AWAY,
        retry_after="fixed",
        is_retried=True,
    ),
    Row(
        "read timeout",
        frozenset({READ_TIMEOUT, OUT_OF_TIME}),
        problems.TIMED_OUT,
        "No answer came in time; send fewer or shorter texts at once.",
    ),
    Row(
        "ValidationError: no model data",
        frozenset({"ValidationError"}),
        problems.MODEL_NOT_FOUND,
        "model: there is no such artifact; GET /v1/models lists them",
        says="Failed to download model data",
    ),
    Row(
        "ValidationError, AccessDenied",
        frozenset(
            {
                "ValidationError",
                "ValidationException",
                "AccessDeniedException",
                "AccessDenied",
                "UnrecognizedClientException",
                "ExpiredTokenException",
                "NoSuchBucket",
            }
        ),
        problems.MISCONFIGURED,
        _SETUP,
        is_fault=True,
    ),
    Row(
        "InternalFailure",
        frozenset({"InternalFailure", "InternalError"}),
        problems.BAD_GATEWAY,
        _BROKEN,
        is_retried=True,
    ),
    Row(
        "InternalDependencyException",
        frozenset({"InternalDependencyException"}),
        problems.BAD_GATEWAY,
        _BROKEN,
    ),
    Row("connection dropped", frozenset({DROPPED}), problems.BAD_GATEWAY, _BROKEN),
    Row("anything else", frozenset(), problems.FAULT, "Something failed that should not have.", is_fault=True),
)


def look_up(failure: Failure) -> Told:
    """The failure's row, and the problem that the caller is told."""
    row = next(row for row in TABLE if row.fits(failure))
    return Told(row, failure, row.problem(failure))


def is_retried(failure: Failure) -> bool:
    """Whether another try makes sense: the request was not worked on, or its failure is AWS's own."""
    return look_up(failure).row.is_retried
