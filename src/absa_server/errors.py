"""Everything that can go wrong, as one tree. Which HTTP status each becomes is told in one table, http/error_bodies.py.

    AbsaError
    ├── InvalidRequest          the caller's request or one of its records
    │   ├── PayloadTooLarge     more bytes, records or characters than a limit allows
    │   ├── UnsupportedMediaType
    │   └── NotAcceptable
    ├── ClientLeft              nobody waits for the answer any more
    ├── InvalidModel            an artifact its owner must repair
    │   └── NotConvertible      a good model that the compiled engine cannot run; torch may
    ├── ModelNotFound           no such model is loaded, or lies where one was asked for
    ├── ModelAlreadyLoaded      a model of that name is loaded already
    ├── ResourcesExhausted      no memory, disk or process for a model; others must go first
    ├── ModelNotReady           still loading, or failed to load
    ├── StoreRefused            the model store will not give the model: permission, credentials, Region, bucket
    ├── StoreUnavailable        the model store does not answer, or not in time
    ├── Overloaded              more waits than the server will queue
    ├── DeadlineExceeded        the answer would come too late
    ├── ResultsUnavailable      the answer must be kept, and cannot be
    ├── EngineFailed            the engine raised while inferring
    ├── UserCodeFailed          the model's own code/inference.py raised
    └── ParserFailed            the process that reads large bodies died, or took too long

A message says what was expected, what came, where, and what follows; it never holds a traceback or the caller's text.
"""


class AbsaError(Exception):
    """Root of the tree. `message` is fit to be shown to the caller."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRequest(AbsaError):
    """The request, or one record of it, breaks the contract. The message begins with the field's path."""


class PayloadTooLarge(InvalidRequest):
    """The body is larger than the limit that the message names."""


class UnsupportedMediaType(InvalidRequest):
    """The Content-Type is none that `POST /invocations` reads."""


class NotAcceptable(InvalidRequest):
    """The Accept header names no type that `POST /invocations` writes."""


class ClientLeft(AbsaError):
    """The caller closed its connection; the work for it is dropped, and nobody reads this."""


class InvalidModel(AbsaError):
    """The artifact cannot be served as it is. The message tells its owner what to change."""


class NotConvertible(InvalidModel):
    """The model is whole, but could not be converted for the compiled engine within its limits."""


class ModelNotFound(AbsaError):
    """No model of that name is loaded, or nothing lies at the place that was told."""


class ModelAlreadyLoaded(AbsaError):
    """The name is taken; unload the model first."""


class ResourcesExhausted(AbsaError):
    """A shortage of memory, disk or processes, never a fault of the model: it fits once others are unloaded."""


class ModelNotReady(AbsaError):
    """No model can answer now. `retry_after_s` is None when waiting will not help."""

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreRefused(AbsaError):
    """The model store said no. The message names bucket and action; the server's owner has to allow it."""


class StoreUnavailable(AbsaError):
    """The model store could not be reached, or was too slow; models that are loaded go on answering."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(AbsaError):
    """Refused before any work was done: as many requests wait as are allowed to."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(AbsaError):
    """The request's time ran out; what was left of its work is dropped."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ResultsUnavailable(AbsaError):
    """The answer could not be put where answers have to be kept, so it is not sent."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EngineFailed(AbsaError):
    """The engine raised. The message is for the caller; the cause goes to the log."""


class UserCodeFailed(AbsaError):
    """The artifact's own code raised. `status` is the one that it asked for, or 500."""

    def __init__(self, message: str, *, status: int = 500) -> None:
        super().__init__(message)
        self.status = status


class ParserFailed(AbsaError):
    """The process that parses large bodies died, ran out of time or was closed. The body may be perfectly good."""
