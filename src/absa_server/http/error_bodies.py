"""Each error of the tree as a status and a name: the one table of both. Knows neither requests nor answers.

The name is that of the class. A whole answer that is an error and an error in one record's place both look here.
"""

from absa_server.errors import (
    AbsaError,
    ClientLeft,
    DeadlineExceeded,
    EngineFailed,
    InvalidModel,
    InvalidRequest,
    ModelAlreadyLoaded,
    ModelNotFound,
    ModelNotReady,
    NotAcceptable,
    Overloaded,
    ParserFailed,
    PayloadTooLarge,
    ResourcesExhausted,
    ResultsUnavailable,
    StoreRefused,
    StoreUnavailable,
    UnsupportedMediaType,
    UserCodeFailed,
)

STATUS_OF = {
    InvalidModel: 400,
    InvalidRequest: 400,
    ModelNotFound: 404,
    NotAcceptable: 406,
    ModelAlreadyLoaded: 409,
    PayloadTooLarge: 413,
    UnsupportedMediaType: 415,
    Overloaded: 429,
    ClientLeft: 499,
    EngineFailed: 500,
    UserCodeFailed: 500,
    StoreRefused: 502,
    DeadlineExceeded: 503,
    ModelNotReady: 503,
    ParserFailed: 503,
    ResultsUnavailable: 503,
    StoreUnavailable: 503,
    ResourcesExhausted: 507,
}


def error_body(error: AbsaError) -> dict[str, object]:
    """`code`, `type` and `message`, as clients see them; a class without a row has that of its nearest ancestor."""
    code = next((STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), 500)
    if isinstance(error, UserCodeFailed):
        code = error.status
    return {"code": code, "type": type(error).__name__, "message": error.message}
