"""Each role may do what it is for, and nothing on anybody else's resources."""

import pytest

from tests.cloud.conftest import counted, stage
from tests.cloud.scenes import OTHER_TYPE, Interruption

from .policy_evaluator import Call, is_allowed
from .stacks import resolver

__all__ = ["counted", "stage"]
AWS = "arn:aws"
HERE = "eu-west-1:111122223333"
ENDPOINT = f"{AWS}:sagemaker:{HERE}:endpoint/absa"
OTHER_ENDPOINT = f"{AWS}:sagemaker:{HERE}:endpoint/other"
MODEL = f"{AWS}:sagemaker:{HERE}:model/model-abc"
CONFIG = f"{AWS}:sagemaker:{HERE}:endpoint-config/config-abc"
REPOSITORY = f"{AWS}:ecr:{HERE}:repository/absa-server"
LOGS = f"{AWS}:logs:{HERE}:log-group"
ROLE = "ExecutionRole.Arn"
OWN = {"aws:ResourceTag/absa-endpoint": "absa"}


def inline(name: str, logical: str, **parameters: str):
    found = resolver(name, **parameters).properties(logical)
    return [policy["PolicyDocument"] for policy in found["Policies"]]


def managed(logical: str):
    return [resolver("roles").properties(logical)["PolicyDocument"]]


EXECUTION = {
    Call("s3:GetObject", f"{AWS}:s3:::artifacts/models/v1/model.tar.gz"): True,
    Call("s3:GetObject", f"{AWS}:s3:::artifacts/releases/absa/1.json"): False,
    Call("s3:GetObject", f"{AWS}:s3:::other/models/v1/model.tar.gz"): False,
    Call("s3:PutObject", f"{AWS}:s3:::artifacts/models/v1/model.tar.gz"): False,
    Call("s3:PutObject", f"{AWS}:s3:::results/results/a.json"): True,
    Call("s3:PutObject", f"{AWS}:s3:::results/jobs/answers/a.out"): True,
    Call("s3:GetObject", f"{AWS}:s3:::results/jobs/questions/a.json"): True,
    Call("s3:GetObject", f"{AWS}:s3:::results/results/a.json"): False,
    Call("s3:DeleteObject", f"{AWS}:s3:::results/results/a.json"): False,
    Call("ecr:BatchGetImage", REPOSITORY): True,
    Call("ecr:BatchGetImage", f"{REPOSITORY}-other"): False,
    Call("ecr:PutImage", REPOSITORY): False,
    Call("ecr:GetAuthorizationToken", "*"): True,
    Call("logs:PutLogEvents", f"{LOGS}:/aws/sagemaker/Endpoints/absa:log-stream:AllTraffic/i-1"): True,
    Call("logs:PutLogEvents", f"{LOGS}:/aws/sagemaker/Endpoints/absa2:log-stream:AllTraffic/i-1"): False,
    Call("cloudwatch:DescribeAlarms", f"{AWS}:cloudwatch:{HERE}:alarm:absa-rollback-5xx"): True,
    Call("cloudwatch:DescribeAlarms", f"{AWS}:cloudwatch:{HERE}:alarm:other"): False,
    Call("sagemaker:InvokeEndpoint", ENDPOINT): False,
    Call("iam:PassRole", ROLE): False,
    Call("ec2:CreateNetworkInterface", "*"): False,
}
DEPLOYER = {
    Call("sagemaker:CreateEndpoint", ENDPOINT): True,
    Call("sagemaker:UpdateEndpoint", ENDPOINT): True,
    Call("sagemaker:DeleteEndpoint", ENDPOINT): True,
    Call("sagemaker:UpdateEndpoint", OTHER_ENDPOINT): False,
    Call("sagemaker:DeleteEndpoint", OTHER_ENDPOINT): False,
    Call("sagemaker:InvokeEndpoint", OTHER_ENDPOINT): False,
    Call("cloudformation:UpdateStack", f"{AWS}:cloudformation:{HERE}:stack/absa-endpoint/1"): True,
    Call("cloudformation:DeleteStack", f"{AWS}:cloudformation:{HERE}:stack/other/1"): False,
    Call("cloudformation:TagResource", f"{AWS}:cloudformation:{HERE}:stack/absa-alarms/1"): True,
    Call("cloudformation:DescribeStacks", f"{AWS}:cloudformation:{HERE}:stack/absa-storage/1"): True,
    Call("cloudwatch:PutMetricAlarm", f"{AWS}:cloudwatch:{HERE}:alarm:absa-cpu"): True,
    Call("cloudwatch:DeleteAlarms", f"{AWS}:cloudwatch:{HERE}:alarm:other-cpu"): False,
    Call("cloudwatch:PutDashboard", f"{AWS}:cloudwatch::111122223333:dashboard/absa"): True,
    Call("cloudwatch:PutDashboard", f"{AWS}:cloudwatch::111122223333:dashboard/other"): False,
    Call("application-autoscaling:RegisterScalableTarget", "*"): True,
    Call("logs:DeleteLogGroup", f"{LOGS}:/aws/sagemaker/Endpoints/absa"): True,
    Call("logs:DeleteLogGroup", f"{LOGS}:/aws/sagemaker/Endpoints/other"): False,
    Call("s3:PutObject", f"{AWS}:s3:::artifacts/releases/absa/1.json"): True,
    Call("s3:PutObject", f"{AWS}:s3:::artifacts/models/v1/model.tar.gz"): False,
    Call("s3:GetObject", f"{AWS}:s3:::artifacts/models/v1/model.tar.gz"): True,
    Call("s3:GetObject", f"{AWS}:s3:::results/results/a.json"): False,
    Call("ecr:PutImage", REPOSITORY): False,
    Call("iam:CreateRole", f"{AWS}:iam::111122223333:role/any"): False,
    Call("iam:PassRole", ROLE): False,
}
PUSHER = {
    Call("ecr:PutImage", REPOSITORY): True,
    Call("ecr:PutImage", f"{REPOSITORY}2"): False,
    Call("ecr:DeleteRepository", REPOSITORY): False,
    Call("ecr:BatchDeleteImage", REPOSITORY): False,
}
FUNCTION = {
    Call("sagemaker:InvokeEndpoint", ENDPOINT): True,
    Call("sagemaker:InvokeEndpoint", OTHER_ENDPOINT): False,
    Call("sagemaker:UpdateEndpoint", ENDPOINT): False,
    Call("logs:PutLogEvents", f"{LOGS}:/aws/lambda/absa-api:log-stream:x"): True,
    Call("logs:PutLogEvents", f"{LOGS}:/aws/lambda/other:log-stream:x"): False,
    Call("s3:GetObject", f"{AWS}:s3:::artifacts/models/v1/model.tar.gz"): False,
    Call("s3:PutObject", f"{AWS}:s3:::results/results/a.json"): False,
}


def cases(calls):
    return [pytest.param(call, allowed, id=f"{call.action}-{call.resource}") for call, allowed in calls.items()]


@pytest.mark.parametrize(("call", "allowed"), cases(EXECUTION))
def test_execution_role(call, allowed):
    """The containers read their artifacts, write results and logs, and pull one image."""
    assert is_allowed(inline("roles", "ExecutionRole"), call) is allowed


@pytest.mark.parametrize(("call", "allowed"), cases(DEPLOYER))
def test_deployer(call, allowed):
    """Whoever deploys one endpoint cannot touch another."""
    assert is_allowed(managed("DeployerPolicy"), call) is allowed


@pytest.mark.parametrize(("call", "allowed"), cases(PUSHER))
def test_image_pusher(call, allowed):
    """CI pushes to one repository and deletes nothing."""
    assert is_allowed(managed("ImagePushPolicy"), call) is allowed


@pytest.mark.parametrize(("call", "allowed"), cases(FUNCTION))
def test_function_role(call, allowed):
    """The Lambda function asks one endpoint and writes its own log."""
    assert is_allowed(inline("api", "FunctionRole"), call) is allowed


def test_gateway_role():
    """API Gateway, asking directly, may do that alone."""
    documents = inline("api-direct", "Role")
    assert is_allowed(documents, Call("sagemaker:InvokeEndpoint", ENDPOINT))
    assert not is_allowed(documents, Call("sagemaker:InvokeEndpoint", OTHER_ENDPOINT))
    assert not is_allowed(documents, Call("sagemaker:DeleteEndpoint", ENDPOINT))


def test_listing_is_limited_to_the_models():
    """The bucket's other keys cannot be listed by the containers, nor without a prefix."""
    documents, bucket = inline("roles", "ExecutionRole"), f"{AWS}:s3:::artifacts"
    assert is_allowed(documents, Call("s3:ListBucket", bucket, {"s3:prefix": "models/v1/"}))
    assert not is_allowed(documents, Call("s3:ListBucket", bucket, {"s3:prefix": "releases/"}))
    assert not is_allowed(documents, Call("s3:ListBucket", bucket))


def test_metrics_are_limited_to_the_namespace():
    """A container cannot write metrics as if it were another service."""
    documents = inline("roles", "ExecutionRole")
    assert is_allowed(documents, Call("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "ABSA"}))
    assert not is_allowed(documents, Call("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "Billing"}))


def test_role_is_passed_to_sagemaker_alone():
    """Else the deployer could run anything as the containers' role."""
    documents = managed("DeployerPolicy")
    assert is_allowed(documents, Call("iam:PassRole", ROLE, {"iam:PassedToService": "sagemaker.amazonaws.com"}))
    assert not is_allowed(documents, Call("iam:PassRole", ROLE, {"iam:PassedToService": "ec2.amazonaws.com"}))
    assert not is_allowed(
        documents, Call("iam:PassRole", "arn:aws:iam::1:role/x", {"iam:PassedToService": "sagemaker.amazonaws.com"})
    )


def test_every_call_of_the_commands_is_allowed(stage, counted):
    """What update and rollback ask of CloudFormation and S3, recorded from the commands themselves."""
    stage.deploy(Interruption().clients())
    stage.update(counted.clients(), InstanceType=OTHER_TYPE)
    stage.rollback(counted.clients())
    where = {
        **dict.fromkeys(("GetObject", "PutObject"), f"{AWS}:s3:::artifacts/releases/absa/000001.json"),
        "ListObjectsV2": f"{AWS}:s3:::artifacts",
        "GetCallerIdentity": "*",
    }
    rights = {"ListObjectsV2": "s3:ListBucket", "GetCallerIdentity": "sts:GetCallerIdentity"}
    stack = f"{AWS}:cloudformation:{HERE}:stack/absa-endpoint/1"
    asked = {
        Call(rights.get(name, f"{'s3' if name in where else 'cloudformation'}:{name}"), where.get(name, stack))
        for name in counted.calls
    }
    assert {call.action for call in asked} >= {"cloudformation:UpdateStack", "s3:PutObject", "s3:ListBucket"}
    assert [call for call in asked if not is_allowed(managed("DeployerPolicy"), call)] == []


def test_deployer_of_another_endpoint_sees_the_shared_stack_only():
    """It reads the names of the buckets there, and changes neither that stack nor those of other endpoints."""
    documents = [resolver("roles", EndpointName="other").properties("DeployerPolicy")["PolicyDocument"]]
    storage = f"{AWS}:cloudformation:{HERE}:stack/absa-storage/1"
    assert is_allowed(documents, Call("cloudformation:DescribeStacks", storage))
    assert not is_allowed(documents, Call("cloudformation:UpdateStack", storage))
    assert not is_allowed(
        documents, Call("cloudformation:DescribeStacks", f"{AWS}:cloudformation:{HERE}:stack/absa-api/1")
    )


REPLICATION = {
    Call("s3:GetObjectVersionForReplication", f"{AWS}:s3:::Artifacts.Arn/x"): False,
    Call("s3:ReplicateObject", f"{AWS}:s3:::artifacts-there/models/v1/model.tar.gz"): True,
    Call("s3:ReplicateObject", f"{AWS}:s3:::other/models/v1/model.tar.gz"): False,
    Call("s3:ReplicateDelete", f"{AWS}:s3:::artifacts-there/models/v1/model.tar.gz"): False,
    Call("s3:GetObjectVersionForReplication", "Artifacts.Arn/models/v1/model.tar.gz"): True,
    Call("s3:GetReplicationConfiguration", "Artifacts.Arn"): True,
    Call("s3:PutObject", "Artifacts.Arn/models/v1/model.tar.gz"): False,
}


@pytest.mark.parametrize(("call", "allowed"), cases(REPLICATION))
def test_replication_role(call, allowed):
    """S3 copies from the one bucket to the other, and repeats no deletion."""
    found = resolver("storage", ReplicaRegion="eu-central-1", ReplicaArtifactsBucket="artifacts-there")
    assert is_allowed([found.properties("ReplicationPolicy")["PolicyDocument"]], call) is allowed


def test_nothing_is_replicated_unless_asked_for():
    """One Region has neither the role nor the registry's configuration."""
    assert not [name for name in resolver("storage").resources() if "Replication" in name]


@pytest.mark.parametrize("resource", [MODEL, CONFIG])
def test_models_are_told_apart_by_tag(resource):
    """CloudFormation makes their names up: the stack's tag says whose they are."""
    documents, kind = managed("DeployerPolicy"), "Model" if resource is MODEL else "EndpointConfig"
    assert is_allowed(documents, Call(f"sagemaker:Create{kind}", resource, {"aws:RequestTag/absa-endpoint": "absa"}))
    assert not is_allowed(documents, Call(f"sagemaker:Create{kind}", resource))
    assert is_allowed(documents, Call(f"sagemaker:Delete{kind}", resource, OWN))
    assert not is_allowed(documents, Call(f"sagemaker:Delete{kind}", resource, {"aws:ResourceTag/absa-endpoint": "x"}))


@pytest.mark.parametrize("shape", ["multi-model", "pipeline-multi-model"])
def test_function_of_many_models_names_one(shape):
    """A target that is no artifact is refused before it reaches the endpoint."""
    documents = inline("api", "FunctionRole", Shape=shape)
    assert is_allowed(documents, Call("sagemaker:InvokeEndpoint", ENDPOINT, {"sagemaker:TargetModel": "a.tar.gz"}))
    assert not is_allowed(documents, Call("sagemaker:InvokeEndpoint", ENDPOINT, {"sagemaker:TargetModel": "a"}))


def test_function_of_jobs_reads_and_writes_jobs():
    """Questions in, answers out; the results of others stay closed."""
    documents, results = inline("api", "FunctionRole", Shape="async"), f"{AWS}:s3:::results"
    assert is_allowed(documents, Call("sagemaker:InvokeEndpointAsync", ENDPOINT))
    assert not is_allowed(documents, Call("sagemaker:InvokeEndpoint", ENDPOINT))
    assert is_allowed(documents, Call("s3:PutObject", f"{results}/jobs/questions/1.json"))
    assert is_allowed(documents, Call("s3:GetObject", f"{results}/jobs/answers/1.out"))
    assert not is_allowed(documents, Call("s3:GetObject", f"{results}/results/1.json"))
    for prefix, allowed in {"jobs/answers/1": True, "jobs/questions/1.json": True, "results/": False}.items():
        assert is_allowed(documents, Call("s3:ListBucket", results, {"s3:prefix": prefix})) is allowed


def test_function_lists_the_models():
    """Below their prefix, in every shape."""
    documents, bucket = inline("api", "FunctionRole"), f"{AWS}:s3:::artifacts"
    assert is_allowed(documents, Call("s3:ListBucket", bucket, {"s3:prefix": "models/all/"}))
    assert not is_allowed(documents, Call("s3:ListBucket", bucket, {"s3:prefix": "releases/"}))
    assert not is_allowed(documents, Call("s3:ListBucket", bucket))


def test_network_interfaces_only_in_a_vpc():
    """The rights that know no resource are given only where they are needed."""
    call = Call("ec2:CreateNetworkInterface", "*")
    assert is_allowed(inline("roles", "ExecutionRole", IsInVpc="true"), call)
    assert not is_allowed(inline("roles", "ExecutionRole"), call)


def test_evaluator_obeys_a_deny():
    """An explicit Deny wins over any Allow; the bucket's TLS-only statement is one."""
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    deny = allow | {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    plain, safe = {"aws:SecureTransport": "false"}, {"aws:SecureTransport": "true"}
    document = {"Statement": [allow, deny]}
    assert is_allowed([document], Call("s3:GetObject", "x", safe))
    assert not is_allowed([document], Call("s3:GetObject", "x", plain))
    assert not is_allowed([{"Statement": []}], Call("s3:GetObject", "x"))


@pytest.mark.parametrize("part", [{"NotAction": "s3:*"}, {"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}])
def test_evaluator_refuses_what_it_does_not_know(part):
    """Rather than to judge it wrongly."""
    document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"} | part]}
    with pytest.raises(AssertionError, match="not evaluated"):
        is_allowed([document], Call("s3:GetObject", "x"))
