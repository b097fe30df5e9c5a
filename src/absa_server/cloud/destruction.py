"""An endpoint's stacks taken away, the last made first; data only when told. Knows no command line.

Data are the artifacts (releases among them), the results and the images: they stand in the storage stack, which every
endpoint of the Region shares, and which is left alone otherwise.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from absa_server.cloud.account import Found, look
from absa_server.cloud.aws import Clients, error_code
from absa_server.cloud.errors import Refused
from absa_server.cloud.parts import BY_NAME, PARTS, STORAGE_STACK
from absa_server.cloud.stack_driver import StackDriver, Watch
from absa_server.cloud.stacks import ENDPOINT_TAG, stacks_of_this_project

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

BUCKETS = ("ArtifactsBucket", "ResultsBucket")


class Destruction:
    """The end of one endpoint."""

    def __init__(
        self, clients: Clients, *, endpoint: str, watch: Watch, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clients = clients
        self._endpoint = endpoint
        self._driver = StackDriver(clients.cloudformation(), watch, sleep=sleep)

    def look(self) -> Found:
        """What there is to destroy."""
        return look(self._clients, self._endpoint)

    def stacks(self) -> list[str]:
        """Names of the stacks that go, in order; the shared one is not among them."""
        found = self.look()
        return [
            found.stacks[part.name].name for part in reversed(PARTS) if part.name in found.stacks and not part.is_shared
        ]

    def remove_stacks(self) -> None:
        """Raises `StackFailed` with what holds a stack."""
        for name in self.stacks():
            self._driver.remove(name)

    def refuse_if_shared(self) -> None:
        """Raises `Refused` when another endpoint still lives from these buckets."""
        others = {
            stack.tags[ENDPOINT_TAG]
            for stack in stacks_of_this_project(self._clients.cloudformation())
            if stack.name != STORAGE_STACK
        } - {self._endpoint}
        if others:
            raise Refused(f"the data are shared with {', '.join(sorted(others))}: destroy these endpoints first")

    def data(self) -> list[str]:
        """The buckets and the repository that `remove_data` would delete."""
        storage = self.look().stacks.get("storage")
        return (
            [storage.outputs[each] for each in (*BUCKETS, "RepositoryName") if each in storage.outputs]
            if storage
            else []
        )

    def remove_data(self, told: Callable[[str], None]) -> None:
        """Every object, every image, then what held them, then the stack. `told` hears of each bucket and repository.

        The stack goes last: as long as it is there, a run that was interrupted finds the names in its outputs.
        """
        storage = self.look().stacks.get("storage")
        outputs = storage.outputs if storage else {}
        for output in BUCKETS:
            if output in outputs:
                told(
                    f"bucket {outputs[output]}: {_delete_bucket(self._clients.s3(), outputs[output])} versions deleted"
                )
        if "RepositoryName" in outputs:
            self._delete_repository(outputs["RepositoryName"])
            told(f"repository {outputs['RepositoryName']}: deleted with its images")
        self._driver.remove(BY_NAME["storage"].stack_name(self._endpoint))

    def _delete_repository(self, name: str) -> None:
        try:
            self._clients.ecr().delete_repository(repositoryName=name, force=True)
        except ClientError as error:
            if error_code(error) != "RepositoryNotFoundException":
                raise


def _delete_bucket(s3: "S3Client", bucket: str) -> int:
    """How many versions of objects there were; the bucket is gone afterwards, or was before."""
    deleted = 0
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            versions: list[ObjectIdentifierTypeDef] = [
                {"Key": each["Key"], "VersionId": each["VersionId"]}
                for each in (*page.get("Versions", []), *page.get("DeleteMarkers", []))
            ]
            if versions:
                failed = s3.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True}).get("Errors", [])
                if failed:
                    raise Refused(f"{bucket}/{failed[0].get('Key')}: not deleted: {failed[0].get('Message')}")
                deleted += len(versions)
        s3.delete_bucket(Bucket=bucket)
    except ClientError as error:
        if error_code(error) != "NoSuchBucket":
            raise
    return deleted
