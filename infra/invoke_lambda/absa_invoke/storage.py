"""S3's part of the work: addresses, and calls tried again inside a request's time. Knows no object's meaning."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from absa_invoke.budgets import TimeBudget
from absa_invoke.clients import Clients
from absa_invoke.failures import translated
from absa_invoke.retries import Retries

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Folder:
    """A bucket and a prefix, which is empty or ends with a slash."""

    bucket: str
    prefix: str

    def uri(self, name: str) -> str:
        """The address of an object below it."""
        return f"s3://{self.bucket}/{self.prefix}{name}"


def folder_of(uri: str) -> Folder:
    """The folder that `s3://bucket/prefix/` names."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return Folder(bucket, prefix)


@dataclass(frozen=True, slots=True)
class Store:
    """S3. Calls block."""

    clients: Clients
    retries: Retries = field(default_factory=Retries)

    def run(self, call: "Callable[[S3Client], T]", budget: TimeBudget) -> T:
        """What `call` returns. Raises `CallFailed`."""

        def tried(read_timeout_s: float) -> T:
            with translated():
                return call(self.clients(read_timeout_s))

        return self.retries.run(tried, budget)[0]
