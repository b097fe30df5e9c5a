"""Jobs and models as objects of a real S3: states, sizes on both sides of the limit, pages."""

import json

import boto3
import httpx
import pytest

from absa_invoke.clients import make_clients
from absa_invoke.jobs import MAX_ANSWER_BYTES, Jobs, done_body
from absa_invoke.models import Models
from absa_invoke.problems import Problem
from absa_invoke.storage import Folder, Store, folder_of

QUESTION = "0" * 32


@pytest.fixture(scope="module")
def store(s3_url):
    """Clients as the function makes them; the server's address is in the environment."""
    return Store(make_clients(boto3.Session(region_name="us-east-1"), "s3"))


@pytest.fixture(scope="module")
def jobs(store, bucket):
    return Jobs(store, Folder(bucket, "jobs/questions/"), Folder(bucket, "jobs/answers/"))


def put(s3, folder, name, content=b"{}"):
    s3.put_object(Bucket=folder.bucket, Key=f"{folder.prefix}{name}", Body=content)


def test_question_is_put_below_its_folder(jobs, s3, budget):
    """Under a name of its own, each."""
    (first, uri), (second, _) = jobs.put_question(b'{"text": "a"}', budget), jobs.put_question(b"{}", budget)
    assert first != second
    where = folder_of(uri)
    assert s3.get_object(Bucket=where.bucket, Key=where.prefix)["Body"].read() == b'{"text": "a"}'
    assert jobs.find(jobs.id_of(first, "s3://any/where/a-1.out"), budget).state == "pending"


def test_job_goes_from_pending_to_done(jobs, s3, budget):
    """Its answer is handed over as it is."""
    put(s3, jobs.questions, f"{QUESTION}.json")
    assert jobs.find(f"{QUESTION}.done", budget).state == "pending"
    put(s3, jobs.answers, "done.out", b'{"aspects": []}')
    job = jobs.find(f"{QUESTION}.done", budget)
    assert json.loads(done_body(job)) == {"id": job.id, "state": "done", "answer": {"aspects": []}}


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b'Received client error (400) from primary with message "secret".', 400),
        (b"Received server error (0) from primary", 0),
        (b"\xff no number", 0),
        (b"", 0),
    ],
)
def test_failed_job_has_the_containers_status(jobs, s3, budget, said, status):
    """And nothing of what it said."""
    put(s3, jobs.answers, "failed-error.out", said)
    job = jobs.find(f"{QUESTION}.failed", budget)
    assert (job.state, job.failed_status, job.answer) == ("failed", status, "")


def test_large_answer_is_led_to(jobs, s3, budget):
    """Up to the limit it is handed over; a byte more, and an address leads to it."""
    put(s3, jobs.answers, "small.out", b"1" * MAX_ANSWER_BYTES)
    assert len(jobs.find(f"{QUESTION}.small", budget).answer) == MAX_ANSWER_BYTES
    put(s3, jobs.answers, "large.out", b"1" * (MAX_ANSWER_BYTES + 1))
    job = jobs.find(f"{QUESTION}.large", budget)
    assert job.answer == ""
    fetched = httpx.get(job.address, trust_env=False)
    assert (fetched.status_code, len(fetched.content)) == (200, MAX_ANSWER_BYTES + 1)
    assert fetched.headers["content-type"] == "application/json"


@pytest.mark.parametrize("job_id", ["", "1", f"{QUESTION}.", f"{QUESTION}.../x", f"{'1' * 32}.none", f"{QUESTION}/a.b"])
def test_other_ids_are_not_found(jobs, budget, job_id):
    """Neither one that was never given, nor one that leads out of the folder."""
    with pytest.raises(Problem) as caught:
        jobs.find(job_id, budget)
    assert caught.value.kind.status == 404


def test_one_answers_name_is_not_anothers_beginning(jobs, s3, budget):
    """Listing by a prefix finds longer names, too."""
    put(s3, jobs.questions, f"{QUESTION}.json")
    put(s3, jobs.answers, "abc1.out")
    assert jobs.find(f"{QUESTION}.abc", budget).state == "pending"


def test_models_come_page_by_page(store, s3, bucket, budget):
    """Every artifact once, in order, and nothing else."""
    folder = Folder(bucket, "models/paged/")
    for name in ("a.tar.gz", "b.tar.gz", "c/d.tar.gz", "notes.txt"):
        put(s3, folder, name)
    models, names, query = Models(store, folder), [], {"limit": "2"}
    while True:
        page = models.page(query, budget)
        names += [one["name"] for one in page["models"]]
        if "next" not in page:
            break
        query = {"limit": "2", "next": page["next"]}
    assert names == ["a.tar.gz", "b.tar.gz", "c/d.tar.gz"]


@pytest.mark.parametrize(
    ("limit", "is_right"),
    [("1", True), ("1000", True), ("0", False), ("1001", False), ("-1", False), ("x", False), ("²", False)],
)
def test_page_is_limited(store, bucket, budget, limit, is_right):
    """1 to 1,000."""
    models = Models(store, Folder(bucket, "models/none/"))
    if is_right:
        assert models.page({"limit": limit}, budget) == {"models": []}
    else:
        with pytest.raises(Problem, match="limit"):
            models.page({"limit": limit}, budget)
