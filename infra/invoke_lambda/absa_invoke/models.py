"""The artifacts below the models' prefix, a page at a time. Knows S3; their names are what `model` takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from absa_invoke.budgets import TimeBudget
from absa_invoke.failures import CallFailed
from absa_invoke.problems import INVALID_REQUEST, Problem
from absa_invoke.storage import Folder, Store

DEFAULT_PAGE = 100
MAX_PAGE = 1000
_SUFFIX = ".tar.gz"


@dataclass(frozen=True, slots=True)
class Models:
    """The prefix of the artifacts. Calls block."""

    store: Store
    folder: Folder

    def page(self, query: Mapping[str, str], budget: TimeBudget) -> dict[str, Any]:
        """One page: `models`, and `next` where there are more. Other objects are passed over, so a page may be short.

        Raises `Problem` for a bad `limit` or `next`, and `CallFailed`.
        """
        asked: Any = {"Bucket": self.folder.bucket, "Prefix": self.folder.prefix, "MaxKeys": _limit(query.get("limit"))}
        if "next" in query:
            asked["ContinuationToken"] = query["next"]
        try:
            found = self.store.run(lambda s3: s3.list_objects_v2(**asked), budget)
        except CallFailed as error:
            if "next" in query and error.failure.code == "InvalidArgument":
                raise Problem(INVALID_REQUEST, "next: expected what the page before this one gave") from error
            raise
        models = [
            {
                "name": entry["Key"].removeprefix(self.folder.prefix),
                "size_bytes": entry["Size"],
                "modified": entry["LastModified"].isoformat(),
            }
            for entry in found.get("Contents", ())
            if entry["Key"].endswith(_SUFFIX)
        ]
        token = found.get("NextContinuationToken")
        return {"models": models} | ({"next": token} if token else {})


def _limit(value: str | None) -> int:
    if value is None:
        return DEFAULT_PAGE
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:9]) <= MAX_PAGE:
        raise Problem(INVALID_REQUEST, f"limit: expected 1 to {MAX_PAGE}, got {value[:20]!r}")
    return int(value)
