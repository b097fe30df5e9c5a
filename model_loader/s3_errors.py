"""What botocore raises, in this package's words: try again, refused, missing, replaced. The one seam to its errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)
from botocore.parsers import ResponseParserError

from model_loader.attempts import TransientFailure
from model_loader.errors import ArtifactError, ArtifactMissing, ArtifactReplaced, StoreRefused

_MAY_PASS = (BotoConnectionError, HTTPClientError, ResponseStreamingError, IncompleteReadError, ResponseParserError)
_TRY_AGAIN_CODES = {
    "SlowDown",
    "RequestTimeout",
    "InternalError",
    "ServiceUnavailable",
    "Throttling",
    "RequestLimitExceeded",
}
# HEAD answers have no body, so that botocore knows no more than the status.
_UNTOLD_CODES = {"301", "307", "400", "403", "404"}

_ADVICE = {
    "AccessDenied": "allow {action} on arn:aws:s3:::{resource} (and kms:Decrypt on its key) to this role, and "
    "s3:ListBucket on the bucket: without it a missing object is refused, too",
    "InvalidAccessKeyId": "the access key does not exist; correct the credentials",
    "SignatureDoesNotMatch": "the secret key is wrong; correct the credentials",
    "ExpiredToken": "the session's credentials have expired; renew them",
    "InvalidToken": "the session token is not valid; renew the credentials",
    "RequestTimeTooSkewed": "this machine's clock is wrong; correct it",
    "NoSuchBucket": "there is no such bucket; correct the store's url",
    "PermanentRedirect": "the bucket is in another Region; set AWS_REGION to it",
    "AuthorizationHeaderMalformed": "the bucket is in another Region; set AWS_REGION to it",
    "IllegalLocationConstraintException": "the bucket is in another Region; set AWS_REGION to it",
    "InvalidObjectState": "the object is archived; restore it",
}


@contextmanager
def translated(action: str, bucket: str, key: str) -> Iterator[None]:
    """Raises `TransientFailure` or an `ArtifactError` instead of what botocore raises inside.

    `action` is the permission that the request needs, such as `s3:GetObject`.
    """
    try:
        yield
    except ClientError as error:
        raise _answered(error, action, bucket, key) from error
    except _MAY_PASS as error:
        raise TransientFailure(f"{type(error).__name__}: {error}") from error
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
        raise StoreRefused(
            f"{action} on s3://{bucket}/{key}: {error}; give this process a role or AWS credentials"
        ) from error
    except (ParamValidationError, BotoCoreError) as error:
        raise StoreRefused(f"{action} on s3://{bucket}/{key}: {error}") from error


def is_untold(error: ClientError) -> bool:
    """Whether only the status is known, and a request whose answer has a body would say more."""
    return error.response["Error"].get("Code") in _UNTOLD_CODES


def _answered(error: ClientError, action: str, bucket: str, key: str) -> TransientFailure | ArtifactError:
    code = error.response["Error"].get("Code", "")
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    uri = f"s3://{bucket}/{key}"
    if status >= 500 or status == 429 or code in _TRY_AGAIN_CODES:
        return TransientFailure(f"{status} {code}")
    if code in {"NoSuchKey", "NoSuchVersion", "404"}:
        return ArtifactMissing(f"{uri}: no such object; check the name and the store's prefix")
    if status in {412, 416}:
        return ArtifactReplaced(f"{uri} was replaced while it was read")
    advice = _ADVICE.get(code, "").format(action=action, resource=f"{bucket}/{key}" if key else bucket)
    return StoreRefused(
        f"{action} on bucket {bucket} was refused for {uri}: {status} {code}" + f"; {advice}" * bool(advice)
    )
