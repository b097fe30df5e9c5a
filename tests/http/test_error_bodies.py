import pytest

from absa_server import errors
from absa_server.http.error_bodies import error_body


class TooManyWords(errors.InvalidRequest):
    """A class that the table does not know."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidRequest("m"), 400),
        (errors.NotAcceptable("m"), 406),
        (errors.PayloadTooLarge("m"), 413),
        (errors.UnsupportedMediaType("m"), 415),
        (errors.Overloaded("m", retry_after_s=1), 429),
        (errors.EngineFailed("m"), 500),
        (errors.InvalidModel("m"), 400),
        (errors.ModelNotReady("m"), 503),
        (errors.DeadlineExceeded("m", retry_after_s=1), 503),
        (errors.AbsaError("m"), 500),
        (TooManyWords("m"), 400),
    ],
)
def test_error_has_the_status_of_its_nearest_known_class(error, code):
    """The status comes from the table, the name from the class, the message from the error."""
    assert error_body(error) == {"code": code, "type": type(error).__name__, "message": "m"}
