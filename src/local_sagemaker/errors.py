"""Everything that goes wrong here, one tree. `ApiError`s are what a client of the Runtime API is told.

LocalSageMakerError
├── ConfigurationError      the documents cannot be played
├── ContainerFailed         a container did not start, or stopped answering /ping
├── StorageFailed           an object cannot be read or written
├── TransformFailed         a batch transform job ended as Failed
└── ApiError                has a status and a code, as the API model names them
    ├── ValidationError  400
    ├── ModelError       424
    ├── ModelNotReady    429
    └── ServiceUnavailable 503
"""

from typing import ClassVar


class LocalSageMakerError(Exception):
    """The root of the tree."""


class ConfigurationError(LocalSageMakerError):
    """The message names the document and the field, and says what was expected."""


class ContainerFailed(LocalSageMakerError):
    """The message names the container and ends with the last lines of its log."""


class StorageFailed(LocalSageMakerError):
    """The message names the object's address."""


class TransformFailed(LocalSageMakerError):
    """The message names the input object and what the container answered."""


class ApiError(LocalSageMakerError):
    """An error of the SageMaker Runtime API: `code` is the exception's name in boto3."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "InternalFailure"

    def fields(self) -> dict[str, object]:
        """The members of the error's shape in the API model."""
        return {"Message": str(self)}


class ValidationError(ApiError):
    """The request is not one that this endpoint takes."""

    status = 400
    code = "ValidationError"


class ModelError(ApiError):
    """A container answered with an error status, too late, too much, or not at all (then the status is 0)."""

    status = 424
    code = "ModelError"

    def __init__(self, message: str, *, original_status: int, original_message: str, log_stream: str) -> None:
        super().__init__(message)
        self.original_status = original_status
        self.original_message = original_message
        self.log_stream = log_stream

    def fields(self) -> dict[str, object]:
        """With what the container itself said."""
        return {
            "Message": str(self),
            "OriginalStatusCode": self.original_status,
            "OriginalMessage": self.original_message,
            "LogStreamArn": self.log_stream,
        }


class ModelNotReady(ApiError):
    """A model of a multi-model endpoint was not loaded in time; it goes on loading."""

    status = 429
    code = "ModelNotReadyException"


class ServiceUnavailable(ApiError):
    """No instance is in service."""

    status = 503
    code = "ServiceUnavailable"
