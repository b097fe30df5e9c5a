"""Jobs of an asynchronous endpoint, as objects in S3: questions put, answers looked for. Knows no HTTP.

A job's id is `question.answer`: the name we gave its question, and the name SageMaker gave its answer. Both are needed,
since an answer that is not there yet looks like one that was never asked for. Nothing else is kept about a job.
"""

import json
import re
import uuid
from dataclasses import dataclass
from typing import Literal

from absa_invoke.answers import JSON
from absa_invoke.budgets import TimeBudget
from absa_invoke.problems import NOT_FOUND, Problem
from absa_invoke.storage import Folder, Store

# A function's response may have 6 MB, in which this is quoted once more.
MAX_ANSWER_BYTES = 2_500_000
ADDRESS_LIVES_S = 300
# An answer and a failure begin with the same name.
LISTED = 10
# Of SageMaker's names; ours are hexadecimal.
_ID = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9_-]{1,128})")
_STATUS = re.compile(r"error \((\d{3})\)")


@dataclass(frozen=True, slots=True)
class Job:
    """Where a job stands. `answer` is the containers' JSON; `address` leads to one that is too large to hand over.

    `failed_status` is the status that the container refused the job with, 0 where that is not known.
    """

    id: str
    state: Literal["pending", "done", "failed"]
    answer: str = ""
    address: str = ""
    failed_status: int = 0


@dataclass(frozen=True, slots=True)
class Jobs:
    """Questions and answers, each below a folder of its own. Calls block, and raise `CallFailed` when S3 fails."""

    store: Store
    questions: Folder
    answers: Folder

    def put_question(self, body: bytes, budget: TimeBudget) -> tuple[str, str]:
        """The question's name and its address."""
        name = uuid.uuid4().hex
        bucket, key = self.questions.bucket, f"{self.questions.prefix}{name}.json"
        self.store.run(lambda s3: s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=JSON), budget)
        return name, self.questions.uri(f"{name}.json")

    def id_of(self, question: str, answer_uri: str) -> str:
        """The job's id."""
        name = answer_uri.rpartition("/")[2].removesuffix(".out")
        return f"{question}.{name}"

    def find(self, job_id: str, budget: TimeBudget) -> Job:
        """The job. Raises `Problem` for one that was never asked for, or has expired."""
        matched = _ID.fullmatch(job_id)
        if not matched:
            raise Problem(NOT_FOUND, "id: expected one that POST /v1/jobs gave")
        question, name = matched.groups()
        # Not by GetObject alone: S3 answers a missing key with 403 when the right to list is limited to a prefix.
        sizes = self._sizes(self.answers, name, budget)
        if (size := sizes.get(f"{name}.out")) is not None:
            return self._answered(job_id, f"{name}.out", size, budget)
        if f"{name}-error.out" in sizes:
            return Job(job_id, "failed", failed_status=self._failed_status(f"{name}-error.out", budget))
        if self._sizes(self.questions, f"{question}.json", budget):
            return Job(job_id, "pending")
        raise Problem(NOT_FOUND, "id: there is no such job; answers are deleted after some time")

    def _answered(self, job_id: str, name: str, size: int, budget: TimeBudget) -> Job:
        if size <= MAX_ANSWER_BYTES:
            return Job(job_id, "done", answer=self._read(name, budget).decode())
        where = {"Bucket": self.answers.bucket, "Key": f"{self.answers.prefix}{name}", "ResponseContentType": JSON}
        address = self.store.run(
            lambda s3: s3.generate_presigned_url("get_object", Params=where, ExpiresIn=ADDRESS_LIVES_S), budget
        )
        return Job(job_id, "done", address=address)

    def _failed_status(self, name: str, budget: TimeBudget) -> int:
        """SageMaker's message quotes the container, so nothing but the number is taken from it."""
        found = _STATUS.search(self._read(name, budget).decode(errors="replace"))
        return int(found[1]) if found else 0

    def _sizes(self, folder: Folder, start: str, budget: TimeBudget) -> dict[str, int]:
        prefix = f"{folder.prefix}{start}"
        found = self.store.run(
            lambda s3: s3.list_objects_v2(Bucket=folder.bucket, Prefix=prefix, MaxKeys=LISTED), budget
        )
        return {entry["Key"].removeprefix(folder.prefix): entry["Size"] for entry in found.get("Contents", ())}

    def _read(self, name: str, budget: TimeBudget) -> bytes:
        key = f"{self.answers.prefix}{name}"
        return self.store.run(lambda s3: s3.get_object(Bucket=self.answers.bucket, Key=key)["Body"].read(), budget)


def done_body(job: Job) -> str:
    """A done job as JSON; the containers' answer goes into it unread."""
    return f'{{"id": {json.dumps(job.id)}, "state": "done", "answer": {job.answer}}}'
