"""Clients of one AWS account and Region, and the seam where AWS's refusals become ours. Knows no service's meaning."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, ProfileNotFound

from absa_server.cloud.errors import Refused

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

# Control calls are few and throttled early; standard mode waits between its attempts.
_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 8})


@dataclass(frozen=True, slots=True)
class Clients:
    """What the commands of the cloud talk to. Clients are made when they are asked for."""

    session: boto3.Session

    @property
    def region(self) -> str:
        """The Region all of them are in."""
        return str(self.session.region_name)

    def cloudformation(self) -> "CloudFormationClient":
        """Stacks."""
        client: CloudFormationClient = self.session.client("cloudformation", config=_CONFIG)
        return client

    def ecr(self) -> "ECRClient":
        """Images."""
        client: ECRClient = self.session.client("ecr", config=_CONFIG)
        return client

    def s3(self) -> "S3Client":
        """Artifacts, results, releases."""
        client: S3Client = self.session.client("s3", config=_CONFIG)
        return client

    def logs(self) -> Any:  # noqa: ANN401  its stubs are not installed
        """Log groups."""
        return self.session.client("logs", config=_CONFIG)

    def sts(self) -> "STSClient":
        """Who is asking."""
        client: STSClient = self.session.client("sts", config=_CONFIG)
        return client

    def account_id(self) -> str:
        """The account that the credentials belong to; the first call of every command, so bad ones end it here."""
        return str(self.sts().get_caller_identity()["Account"])


def open_clients(region: str | None, profile: str | None) -> Clients:
    """Clients for the Region and profile given, or those that the environment names. Raises `Refused`."""
    with translated():
        session = boto3.Session(region_name=region, profile_name=profile)
    if not session.region_name:
        raise Refused("no Region is set: give --region, or set AWS_REGION")
    return Clients(session)


def error_code(error: ClientError) -> str:
    """AWS's name of the error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def error_message(error: ClientError) -> str:
    """AWS's words."""
    return str(error.response.get("Error", {}).get("Message", ""))


@contextmanager
def translated() -> Iterator[None]:
    """The one seam where errors of the SDK become `Refused`."""
    try:
        yield
    except (NoCredentialsError, ProfileNotFound) as error:
        raise Refused(f"{error}. Log in (aws sso login, aws configure), or name another with --profile.") from error
    except NoRegionError as error:
        raise Refused("no Region is set: give --region, or set AWS_REGION") from error
    except ClientError as error:
        raise Refused(f"{error.operation_name}: {error_code(error)}: {error_message(error)}") from error
    except BotoCoreError as error:
        raise Refused(f"AWS could not be asked: {error}") from error
