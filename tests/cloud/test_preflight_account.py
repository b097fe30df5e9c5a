"""What `absa doctor` asks an account: on moto, and by answers laid down where moto has none."""

import json

import boto3
import pytest

from absa_server.cloud.inquiry import open_inquiry
from absa_server.cloud.preflight_account import (
    check_api_quota,
    check_bucket,
    check_identity,
    check_instance_quota,
    check_model_data,
    check_pass_role,
    check_role,
)

from .stubbed import Stubbed, inquiry

ROLE = "arn:aws:iam::111122223333:role/absa"
SESSION = "arn:aws:sts::111122223333:assumed-role/Deployer/somebody"
TYPE = "ml.c6i.xlarge"


def bucket_in(region: str, name: str = "artifacts") -> None:
    place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    boto3.client("s3", region).create_bucket(Bucket=name, **place)


def quota(name: str, value: float, code: str = "L-1") -> dict:
    return {"QuotaName": name, "Value": value, "QuotaCode": code, "ServiceCode": "x"}


def test_identity_is_told(account):
    """Who asks, and where."""
    finding, caller = check_identity(open_inquiry(account, None))
    assert finding.status == "ok"
    assert caller in finding.message
    assert account in finding.message


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId"])
def test_bad_credentials_fail_with_what_to_do(code):
    """Nobody is known: the message says how to log in."""
    finding, caller = check_identity(inquiry(sts=Stubbed("sts", ("get_caller_identity", code))))
    assert (finding.status, caller) == ("failed", None)
    assert "log in" in finding.message


def test_bucket_in_the_endpoints_region_is_ok(account):
    """Same Region."""
    bucket_in(account)
    assert check_bucket(open_inquiry(account, None), "artifacts bucket", "artifacts").status == "ok"


def test_bucket_of_another_region_fails(account):
    """SageMaker reads no other Region's; both are named."""
    bucket_in("eu-central-1")
    finding = check_bucket(open_inquiry(account, None), "artifacts bucket", "artifacts")
    assert finding.status == "failed"
    assert "eu-central-1" in finding.message
    assert account in finding.message


def test_bucket_that_is_not_there_fails(account):
    """With the template that makes it."""
    finding = check_bucket(open_inquiry(account, None), "artifacts bucket", "nobodys")
    assert finding.status == "failed"
    assert "storage.yaml" in finding.remedy


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"x-amz-bucket-region": "eu-west-1"}, "ok"), ({"x-amz-bucket-region": "us-east-1"}, "failed"), ({}, "warning")],
)
def test_refusal_that_tells_the_region_is_enough(headers, status):
    """S3 tells a bucket's Region to whoever may not look into it; without it, it is a warning."""
    stubbed = Stubbed("s3")
    stubbed._stubber.add_client_error(
        "head_bucket", "403", "Forbidden", http_status_code=403, response_meta={"HTTPHeaders": headers}
    )
    assert check_bucket(inquiry(s3=stubbed), "artifacts bucket", "artifacts").status == status


def test_archive_that_is_there_is_ok_and_measured(account):
    """List and get are allowed, and the archive has a size."""
    bucket_in(account)
    boto3.client("s3", account).put_object(Bucket="artifacts", Key="models/v1/model.tar.gz", Body=b"x" * 2_000_000)
    client = open_inquiry(account, None)
    assert "2.0 MB" in check_model_data(client, "s3://artifacts/models/v1/model.tar.gz").message
    assert check_model_data(client, "s3://artifacts/models/v1/").status == "ok"


@pytest.mark.parametrize("key", ["models/v2/model.tar.gz", "models/v1/model.tar.g", "models/v2/"])
def test_archive_that_is_not_there_fails(account, key):
    """Neither another key, nor one that begins alike, nor a prefix without an archive."""
    bucket_in(account)
    client = boto3.client("s3", account)
    client.put_object(Bucket="artifacts", Key="models/v1/model.tar.gz", Body=b"x")
    client.put_object(Bucket="artifacts", Key="models/v2/readme.txt", Body=b"x")
    finding = check_model_data(open_inquiry(account, None), f"s3://artifacts/{key}")
    assert (finding.status, "upload" in finding.remedy) == ("failed", True)


def test_denied_look_at_the_data_is_a_warning():
    """The deployer may have rights that this caller has not."""
    finding = check_model_data(inquiry(s3=Stubbed("s3", ("list_objects_v2", "AccessDenied"))), "s3://b/models/m.tar.gz")
    assert finding.status == "warning"
    assert "s3:ListBucket" in finding.remedy


@pytest.mark.parametrize(("service", "status"), [("sagemaker.amazonaws.com", "ok"), ("ec2.amazonaws.com", "failed")])
def test_execution_role_must_trust_sagemaker(account, service, status):
    """A role that SageMaker cannot take on is named now, not by a failed endpoint."""
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}]}
    boto3.client("iam").create_role(RoleName="absa", AssumeRolePolicyDocument=json.dumps(trust))
    assert check_role(open_inquiry(account, None), ROLE).status == status


def test_execution_role_that_is_not_there_fails(account):
    """With the template that makes it."""
    finding = check_role(open_inquiry(account, None), ROLE)
    assert (finding.status, "roles.yaml" in finding.remedy) == ("failed", True)


@pytest.mark.parametrize(
    ("decision", "status"), [("allowed", "ok"), ("implicitDeny", "failed"), ("explicitDeny", "failed")]
)
def test_pass_role_is_what_iam_decides(decision, status):
    """The session's role is asked about, with the service that the role is passed to."""
    answer = {"EvaluationResults": [{"EvalActionName": "iam:PassRole", "EvalDecision": decision}]}
    finding = check_pass_role(inquiry(iam=Stubbed("iam", ("simulate_principal_policy", answer))), SESSION, ROLE)
    assert finding.status == status
    assert "arn:aws:iam::111122223333:role/Deployer" in finding.message


def test_pass_role_that_may_not_be_simulated_is_a_warning():
    """Most deployers may not simulate; that is no failure."""
    stubbed = Stubbed("iam", ("simulate_principal_policy", "AccessDenied"))
    assert check_pass_role(inquiry(iam=stubbed), SESSION, ROLE).status == "warning"
    assert check_pass_role(inquiry(), "arn:aws:iam::111122223333:root", ROLE).status == "skipped"


@pytest.mark.parametrize(("value", "status"), [(1, "failed"), (2, "warning"), (19, "warning"), (20, "ok")])
def test_instance_quota_is_for_two_fleets_at_their_largest(value, status):
    """Two to begin with, ten under load: an update runs both fleets. Both sides of each limit, on the second page."""
    first = {"Quotas": [quota("ml.c5.large for endpoint usage", 4)], "NextToken": "more"}
    second = {"Quotas": [quota(f"{TYPE} for training job usage", 99), quota(f"{TYPE} for endpoint usage", value)]}
    stubbed = Stubbed("service-quotas", ("list_service_quotas", first), ("list_service_quotas", second))
    finding = check_instance_quota(inquiry(service_quotas=stubbed), TYPE, 2, 10)
    assert finding.status == status
    stubbed.close()


@pytest.mark.parametrize(("value", "status"), [(999, "warning"), (1000, "ok")])
def test_api_quota_carries_the_wanted_rate(value, status):
    """The account's throttle rate over all APIs."""
    stubbed = Stubbed("service-quotas", ("list_service_quotas", {"Quotas": [quota("Throttle rate", value)]}))
    assert check_api_quota(inquiry(service_quotas=stubbed), 1000).status == status


def test_quota_that_cannot_be_read_is_a_warning():
    """Denied, or not in the list."""
    denied = Stubbed("service-quotas", ("list_service_quotas", "AccessDeniedException"))
    finding = check_instance_quota(inquiry(service_quotas=denied), TYPE, 2, 10)
    assert (finding.status, "ListServiceQuotas" in finding.remedy) == ("warning", True)
    empty = Stubbed("service-quotas", ("list_service_quotas", {"Quotas": []}))
    assert check_api_quota(inquiry(service_quotas=empty), 1).status == "warning"
