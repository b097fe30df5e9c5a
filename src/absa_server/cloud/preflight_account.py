"""The account before something is deployed into it: who asks, what he may, what lies where, what is left of quotas.

Nothing is written. A question that is refused is a warning: whoever deploys may have rights that whoever looks has not.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from absa_server.cloud.findings import Finding, failed, ok, skipped, warning
from absa_server.cloud.inquiry import QUESTION_ERRORS, Inquiry, code_of, is_denied, told

_ABSENT = {"404", "NoSuchBucket", "NoSuchKey", "NotFound"}
_ASSUMED = re.compile(r"arn:(?P<partition>[\w-]+):sts::(?P<account>\d+):assumed-role/(?P<role>[^/]+)/.*")
PASSED_TO = {
    "ContextKeyName": "iam:PassedToService",
    "ContextKeyType": "string",
    "ContextKeyValues": ["sagemaker.amazonaws.com"],
}
REGION_HEADER = "x-amz-bucket-region"


def check_identity(inquiry: Inquiry) -> tuple[Finding, str | None]:
    """Who asks; the ARN, or None when AWS knows nobody: no other question has an answer then."""
    try:
        caller = inquiry.client("sts").get_caller_identity()
    except QUESTION_ERRORS as error:
        return failed("credentials", told(error), "every call of a deployment would fail like this one"), None
    return ok("credentials", f"{caller['Arn']} in {inquiry.region}"), str(caller["Arn"])


def check_bucket(inquiry: Inquiry, check: str, bucket: str) -> Finding:
    """There, and in the endpoint's Region."""
    try:
        answer = inquiry.client("s3").head_bucket(Bucket=bucket)
    except QUESTION_ERRORS as error:
        if code_of(error) in _ABSENT:
            return failed(check, f"{bucket} is not there", "deploy infra/storage.yaml, or correct the name")
        # Even a refusal tells where the bucket is.
        answer = getattr(error, "response", {})
        if _region_of(answer) is None:
            return warning(check, told(error), "s3:ListBucket lets this be checked")
    its = _region_of(answer)
    if its != inquiry.region:
        message = f"{bucket} is in {its}, the endpoint in {inquiry.region}"
        return failed(check, message, f"take a bucket in {inquiry.region}: SageMaker reads no other Region's")
    return ok(check, f"{bucket}, in {its}")


def _region_of(answer: dict[str, Any]) -> str | None:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    found = headers.get(REGION_HEADER) or answer.get("BucketRegion")
    return str(found) if found else None


def check_model_data(inquiry: Inquiry, url: str) -> Finding:
    """An archive is there, or one at least below a prefix; so may the caller list and read."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    client = inquiry.client("s3")
    try:
        listed = client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=10).get("Contents", [])
        archives = [each["Key"] for each in listed if each["Key"].endswith(".tar.gz")]
        is_there = key in archives if not key.endswith("/") else bool(archives)
        if not is_there:
            return failed("model data", f"{url}: nothing is there", "upload it: `absa upload-model`")
        size = client.head_object(Bucket=bucket, Key=archives[0])["ContentLength"]
    except QUESTION_ERRORS as error:
        if code_of(error) in _ABSENT:
            return failed("model data", f"{url}: {told(error)}", "correct the bucket or the key")
        return warning("model data", f"{url}: {told(error)}", "s3:ListBucket and s3:GetObject let this be checked")
    return ok("model data", f"{url}: {archives[0]}, {size / 1e6:,.1f} MB")


def check_role(inquiry: Inquiry, role_arn: str) -> Finding:
    """There, and SageMaker may take it on."""
    name = role_arn.rsplit("/", 1)[-1]
    try:
        role = inquiry.client("iam").get_role(RoleName=name)["Role"]
    except QUESTION_ERRORS as error:
        if code_of(error) in {"NoSuchEntity", "NoSuchEntityException"}:
            return failed("execution role", f"{role_arn} is not there", "deploy infra/roles.yaml, or correct the name")
        return warning("execution role", told(error), "iam:GetRole lets this be checked")
    trust = role["AssumeRolePolicyDocument"]
    document = json.loads(trust) if isinstance(trust, str) else trust
    if "sagemaker.amazonaws.com" not in json.dumps(document):
        return failed(
            "execution role",
            f"{name} does not trust sagemaker.amazonaws.com",
            "take the role that infra/roles.yaml makes",
        )
    return ok("execution role", f"{name}, trusts sagemaker.amazonaws.com")


def check_pass_role(inquiry: Inquiry, caller: str, role_arn: str) -> Finding:
    """Whether the caller may hand the role to SageMaker, by IAM's own simulation."""
    check = "iam:PassRole"
    if caller.endswith(":root"):
        return skipped(check, "the root user is never simulated", "deploy as a role that infra/roles.yaml describes")
    try:
        answer = inquiry.client("iam").simulate_principal_policy(
            PolicySourceArn=_principal(caller),
            ActionNames=["iam:PassRole"],
            ResourceArns=[role_arn],
            ContextEntries=[PASSED_TO],
        )
    except QUESTION_ERRORS as error:
        return warning(
            check, f"could not be simulated: {told(error)}", "iam:SimulatePrincipalPolicy lets it be checked"
        )
    decision = str(answer["EvaluationResults"][0]["EvalDecision"])
    if decision == "allowed":
        return ok(check, f"{_principal(caller)} may pass {role_arn.rsplit('/', 1)[-1]}")
    return failed(
        check, f"{_principal(caller)} may not pass {role_arn} ({decision})", "attach infra/roles.yaml's Deployer"
    )


def _principal(caller: str) -> str:
    """The role behind a session; a role's path is not in its session's ARN, and ours have none."""
    session = _ASSUMED.fullmatch(caller)
    if session is None:
        return caller
    return f"arn:{session['partition']}:iam::{session['account']}:role/{session['role']}"


def check_instance_quota(inquiry: Inquiry, instance_type: str, fewest: int, most: int) -> Finding:
    """As many instances as autoscaling may come to, and as many again while an update runs both fleets."""
    check, name = "instance quota", f"{instance_type} for endpoint usage"
    value = _quota(inquiry, "sagemaker", name)
    if isinstance(value, Exception):
        return _unknown_quota(check, value)
    if value is None:
        return warning(check, f"no quota is called {name!r} in {inquiry.region}", "is the type offered in this Region?")
    ask = f"ask for {2 * most} in Service Quotas, SageMaker, {name!r}"
    if value < fewest:
        return failed(check, f"{value:g} {instance_type}, {fewest} are wanted to begin with", ask)
    if value < 2 * most:
        return warning(check, f"{value:g} {instance_type}; {most} under load need {2 * most} during an update", ask)
    return ok(check, f"{value:g} {instance_type} for endpoints, {2 * most} are needed at most")


def check_api_quota(inquiry: Inquiry, rate_rps: float) -> Finding:
    """The account's requests a second over all APIs of the Region."""
    check, name = "API Gateway quota", "Throttle rate"
    value = _quota(inquiry, "apigateway", name)
    if isinstance(value, Exception):
        return _unknown_quota(check, value)
    if value is None:
        return warning(check, f"no quota is called {name!r}", "look at Service Quotas, API Gateway")
    if value < rate_rps:
        return warning(check, f"{value:g} requests a second, {rate_rps:g} are wanted", f"ask for more: {name!r}")
    return ok(check, f"{value:g} requests a second over all APIs of the Region; {rate_rps:g} are wanted")


def _unknown_quota(check: str, error: Exception) -> Finding:
    remedy = "servicequotas:ListServiceQuotas lets this be checked" if is_denied(error) else ""
    return warning(check, told(error), remedy)


def _quota(inquiry: Inquiry, service: str, name: str) -> float | Exception | None:
    try:
        return next((value for quota, value in _quotas(inquiry, service) if quota == name), None)
    except QUESTION_ERRORS as error:
        return error


def _quotas(inquiry: Inquiry, service: str) -> Iterator[tuple[str, float]]:
    """Names and values; asked page by page, since SageMaker has over a thousand."""
    client = inquiry.client("service-quotas")
    token: dict[str, str] = {}
    while True:
        page = client.list_service_quotas(ServiceCode=service, MaxResults=100, **token)
        yield from ((str(quota["QuotaName"]), float(quota["Value"])) for quota in page["Quotas"])
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}
