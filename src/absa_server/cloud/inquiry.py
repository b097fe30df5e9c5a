"""Read-only questions to an AWS account: clients, and what a refusal means in words. Changes nothing anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
)

from absa_server.cloud.errors import Refused

# Whoever waits for a report wants to hear soon that a service does not answer.
_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4})
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_UNKNOWN_KEYS = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
LOG_IN = "log in (aws sso login, aws configure), or name a profile with --profile"

# What a question may fail with.
QUESTION_ERRORS = (BotoCoreError, ClientError)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Clients of one account and Region. `clients` are given instead of made, by service."""

    session: boto3.Session
    clients: Mapping[str, Any] = field(default_factory=dict)

    @property
    def region(self) -> str:
        """The Region that is asked."""
        return str(self.session.region_name)

    def client(self, service: str) -> Any:  # noqa: ANN401  one type for each service
        """boto3's client of `service`."""
        return self.clients.get(service) or self.session.client(service, config=_CONFIG)


def open_inquiry(region: str | None, profile: str | None) -> Inquiry:
    """For the Region and profile given, or those that the environment names. Raises `Refused`."""
    try:
        session = boto3.Session(region_name=region, profile_name=profile)
    except ProfileNotFound as error:
        raise Refused(f"{error}; {LOG_IN}") from error
    if not session.region_name:
        raise Refused("no Region is set: give --region, or set AWS_REGION")
    return Inquiry(session)


def code_of(error: Exception) -> str:
    """AWS's name of the error; of one that never reached AWS, its own."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return type(error).__name__


def is_denied(error: Exception) -> bool:
    """Whether AWS knows who asked, and says that he may not."""
    return code_of(error) in _DENIED


def told(error: Exception) -> str:
    """The error in one line, and what to do where that is known."""
    code = code_of(error)
    if isinstance(error, NoCredentialsError) or code in _EXPIRED | _UNKNOWN_KEYS:
        return f"{code}: no valid credentials; {LOG_IN}"
    if isinstance(error, EndpointConnectionError):
        return f"{error} Check the network, the Region and --endpoint-url."
    if isinstance(error, ClientError):
        return f"{error.operation_name}: {code}: {error.response.get('Error', {}).get('Message', '')}"
    return f"{code}: {error}"
