"""What an endpoint has been: the templates and parameters of every release, as objects in the artifacts bucket.

A release is written before it is handed to CloudFormation, with the number of the one it replaces; which of them is
live is not written anywhere but read from the stack. `pending.json` says what a run was about to do, so that one which
was interrupted is continued and not begun anew. Knows nothing of CloudFormation.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from absa_server.cloud.aws import error_code
from absa_server.cloud.errors import NothingToDo, Refused
from absa_server.cloud.template import parse_template

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class Content:
    """One part of a release: a template word for word, and every parameter that is somebody's choice."""

    template: str
    parameters: Mapping[str, str]

    def is_same(self, other: "Content") -> bool:
        """Whether both come to the same stack; comments and the order of keys aside."""
        return dict(self.parameters) == dict(other.parameters) and (
            parse_template(self.template, name="release") == parse_template(other.template, name="release")
        )


def without_scaling(content: Content) -> Content:
    """The same endpoint with MaxInstances 0, which gives up its scaling."""
    return Content(content.template, {**content.parameters, "MaxInstances": "0"})


@dataclass(frozen=True, slots=True)
class Release:
    """What was, or was to be, deployed; by the name of each part."""

    number: int
    previous: int | None
    at: str
    parts: Mapping[str, Content]

    def is_of(self, parts: Mapping[str, Content]) -> bool:
        """Whether these parts are this release."""
        return set(parts) == set(self.parts) and all(parts[name].is_same(self.parts[name]) for name in parts)


@dataclass(frozen=True, slots=True)
class Pending:
    """A run that has begun and not ended: `update` or `rollback` to a release."""

    command: str
    to: int


class Releases:
    """The releases of one endpoint, below `releases/<endpoint>/` of the artifacts bucket."""

    def __init__(self, s3: "S3Client", bucket: str, endpoint: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = f"releases/{endpoint}/"

    def numbers(self) -> list[int]:
        """Of all releases, the newest first."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        names = [each["Key"].removeprefix(self._prefix) for page in pages for each in page.get("Contents", [])]
        return sorted((int(name[:6]) for name in names if name[:6].isdigit()), reverse=True)

    def newest_first(self) -> Iterator[Release]:
        """All releases, read one by one."""
        yield from (self.read(number) for number in self.numbers())

    def read(self, number: int) -> Release:
        """One release. Raises `NothingToDo` when there is none of that number."""
        found = self._get(f"{number:06}.json")
        if found is None:
            raise NothingToDo(f"there is no release {number}; there are {_listed(self.numbers())}")
        parts = {name: Content(each["template"], each["parameters"]) for name, each in found["parts"].items()}
        return Release(int(found["number"]), found["previous"], str(found["at"]), parts)

    def live(self, endpoint: Content) -> Release | None:
        """The newest release whose endpoint part the stack has now.

        A run that was interrupted on its way to another instance type has left it without scaling: that counts, too.
        """
        is_interrupted = self.pending() is not None
        for release in self.newest_first():
            was = release.parts["endpoint"]
            if endpoint.is_same(was) or (is_interrupted and endpoint.is_same(without_scaling(was))):
                return release
        return None

    def record(self, parts: Mapping[str, Content], *, previous: int | None) -> Release:
        """A new release, or the newest if it is the same: of a run that was interrupted after writing it.

        Raises `Refused` when somebody else writes the same number at the same time.
        """
        numbers = self.numbers()
        if numbers:
            newest = self.read(numbers[0])
            if newest.is_of(parts) and newest.previous == previous:
                return newest
        release = Release(
            (numbers[0] if numbers else 0) + 1, previous, datetime.now(UTC).isoformat(timespec="seconds"), parts
        )
        self._put(f"{release.number:06}.json", _document(release), is_new=True)
        return release

    def pending(self) -> Pending | None:
        """What the last run was about to do, if it did not end."""
        found = self._get("pending.json")
        return Pending(str(found["command"]), int(found["to"])) if found else None  # `{}`: it has ended

    def begin(self, command: str, to: int) -> None:
        """Remember what is about to be done."""
        self._put("pending.json", {"command": command, "to": to})

    def finish(self) -> None:
        """It is done. Overwritten and not deleted: a deployer needs no right to delete."""
        self._put("pending.json", {})

    def _get(self, name: str) -> dict[str, Any] | None:
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"].read()
        except ClientError as error:
            if error_code(error) == "NoSuchKey":
                return None
            raise
        found: dict[str, Any] = json.loads(body)
        return found

    def _put(self, name: str, document: Mapping[str, object], *, is_new: bool = False) -> None:
        body = json.dumps(document, indent=1).encode()
        key = self._prefix + name
        try:
            if is_new:
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")
            else:
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)
        except ClientError as error:
            if error_code(error) in {"PreconditionFailed", "ConditionalRequestConflict"}:
                raise Refused("somebody else deploys this endpoint right now; run this again") from error
            raise


def _document(release: Release) -> dict[str, object]:
    parts = {
        name: {"template": content.template, "parameters": dict(content.parameters)}
        for name, content in release.parts.items()
    }
    return {"number": release.number, "previous": release.previous, "at": release.at, "parts": parts}


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:20])) or "none"
