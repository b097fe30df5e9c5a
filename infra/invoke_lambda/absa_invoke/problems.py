"""Every way in which a request ends badly, as an RFC 9457 problem. Knows no route and no AWS.

`type` is a name, not an address: `urn:absa:problem:…`. docs/api-gateway.md has the list for callers.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of problem; all of its problems have this status and title."""

    status: int
    name: str
    title: str


INVALID_REQUEST = Kind(400, "invalid-request", "The request is not valid")
NOT_FOUND = Kind(404, "not-found", "There is nothing here")
MODEL_NOT_FOUND = Kind(404, "model-not-found", "There is no such model")
NOT_OF_THIS_SHAPE = Kind(404, "not-of-this-shape", "This endpoint does not answer such requests")
METHOD_NOT_ALLOWED = Kind(405, "method-not-allowed", "The method is not allowed here")
TOO_LARGE = Kind(413, "too-large", "The request is too large")
TEXT_TOO_LONG = Kind(414, "text-too-long", "The text is too long for a query")
UNSUPPORTED_MEDIA_TYPE = Kind(415, "unsupported-media-type", "The body's type is not read here")
UNPROCESSABLE = Kind(422, "unprocessable", "The model cannot process this")
TOO_MANY_REQUESTS = Kind(429, "too-many-requests", "Too many requests")
FAULT = Kind(500, "fault", "The API failed")
MISCONFIGURED = Kind(500, "misconfigured", "The API is not set up right")
BAD_GATEWAY = Kind(502, "model-failed", "The model failed")
UNAVAILABLE = Kind(503, "unavailable", "The model is not available now")
TIMED_OUT = Kind(504, "timed-out", "The model took too long")

KINDS = (
    INVALID_REQUEST,
    NOT_FOUND,
    MODEL_NOT_FOUND,
    NOT_OF_THIS_SHAPE,
    METHOD_NOT_ALLOWED,
    TOO_LARGE,
    TEXT_TOO_LONG,
    UNSUPPORTED_MEDIA_TYPE,
    UNPROCESSABLE,
    TOO_MANY_REQUESTS,
    FAULT,
    MISCONFIGURED,
    BAD_GATEWAY,
    UNAVAILABLE,
    TIMED_OUT,
)


class Problem(Exception):
    """Ends a request. `detail` is for the caller: expected, got, what to do; never a text of somebody's review."""

    def __init__(
        self, kind: Kind, detail: str, *, retry_after_s: int | None = None, allow: tuple[str, ...] = ()
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.allow = allow

    def fields(self, request_id: str) -> dict[str, object]:
        """The members of the problem's JSON."""
        return {
            "type": f"urn:absa:problem:{self.kind.name}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "request_id": request_id,
        }

    def headers(self) -> dict[str, str]:
        """What a caller's program looks at first."""
        retry = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return retry | ({"Allow": ", ".join(self.allow)} if self.allow else {})
