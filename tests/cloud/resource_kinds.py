"""How each resource type of the templates becomes calls to AWS: its properties, unchanged, are the calls' arguments.

botocore validates every call against the service's model before moto sees it. What moto does not implement is validated
and goes no further; `NOT_IN_MOTO` names it.
"""

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
from botocore.validate import ParamValidator

Properties = Mapping[str, Any]
NOT_IN_MOTO = {"AWS::CloudWatch::CompositeAlarm", "AWS::S3::BucketPolicy"}
_numbers = itertools.count(1)


def validate(service: str, operation: str, arguments: Mapping[str, Any]) -> None:
    """Raises with botocore's report when the call would not leave a client."""
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(dict(arguments), shape)
    assert not report.has_errors(), report.generate_report()


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource type. `create` gives the physical name; without `update` a change is a replacement."""

    create: Callable[[Properties], str]
    delete: Callable[[str], object]
    update: Callable[[str, Properties], object] | None = None
    attribute: Callable[[str, str], str] = lambda physical, _: physical


def _made_up(prefix: str) -> str:
    return f"{prefix}-{next(_numbers):04}"


def kinds(region: str) -> dict[str, Kind]:
    """Every resource type that can be applied here, over clients of `region`."""
    return {**_sagemaker(region), **_scaling(region), **_cloudwatch(region), **_storage(region), **_others(region)}


def _sagemaker(region: str) -> dict[str, Kind]:
    client = boto3.client("sagemaker", region)

    def model(properties: Properties) -> str:
        name = _made_up("Model")
        client.create_model(ModelName=name, **properties)
        return name

    def config(properties: Properties) -> str:
        name = _made_up("EndpointConfig")
        client.create_endpoint_config(EndpointConfigName=name, **properties)
        return name

    def endpoint(properties: Properties) -> str:
        known = ("EndpointName", "EndpointConfigName", "DeploymentConfig")
        client.create_endpoint(**{key: properties[key] for key in known})
        return str(properties["EndpointName"])

    return {
        "AWS::SageMaker::Model": Kind(model, lambda name: client.delete_model(ModelName=name)),
        "AWS::SageMaker::EndpointConfig": Kind(
            config, lambda name: client.delete_endpoint_config(EndpointConfigName=name)
        ),
        "AWS::SageMaker::Endpoint": Kind(
            endpoint,
            lambda name: client.delete_endpoint(EndpointName=name),
            lambda _, properties: client.update_endpoint(**properties),
        ),
    }


def _scaling(region: str) -> dict[str, Kind]:
    client = boto3.client("application-autoscaling", region)

    def of(physical: str) -> dict[str, str]:
        resource, dimension, service = physical.split("|")
        return {"ResourceId": resource, "ScalableDimension": dimension, "ServiceNamespace": service}

    def target(properties: Properties) -> str:
        client.register_scalable_target(**properties)
        return "|".join(properties[key] for key in ("ResourceId", "ScalableDimension", "ServiceNamespace"))

    def policy(properties: Properties) -> str:
        rest = {key: value for key, value in properties.items() if key != "ScalingTargetId"}
        client.put_scaling_policy(**of(properties["ScalingTargetId"]), **rest)
        return f"{properties['ScalingTargetId']}|{properties['PolicyName']}"

    def delete_policy(physical: str) -> None:
        target_id, name = physical.rsplit("|", 1)
        client.delete_scaling_policy(PolicyName=name, **of(target_id))

    return {
        "AWS::ApplicationAutoScaling::ScalableTarget": Kind(
            target,
            lambda physical: client.deregister_scalable_target(**of(physical)),
            lambda _, properties: target(properties),
        ),
        "AWS::ApplicationAutoScaling::ScalingPolicy": Kind(
            policy, delete_policy, lambda _, properties: policy(properties)
        ),
    }


def _cloudwatch(region: str) -> dict[str, Kind]:
    client = boto3.client("cloudwatch", region)

    def alarm(properties: Properties) -> str:
        client.put_metric_alarm(**properties)
        return str(properties["AlarmName"])

    def composite(properties: Properties) -> str:
        validate("cloudwatch", "PutCompositeAlarm", properties)
        return str(properties["AlarmName"])

    def dashboard(properties: Properties) -> str:
        client.put_dashboard(**properties)
        return str(properties["DashboardName"])

    return {
        "AWS::CloudWatch::Alarm": Kind(
            alarm, lambda name: client.delete_alarms(AlarmNames=[name]), lambda _, properties: alarm(properties)
        ),
        "AWS::CloudWatch::CompositeAlarm": Kind(composite, lambda _: None, lambda _, properties: composite(properties)),
        "AWS::CloudWatch::Dashboard": Kind(
            dashboard,
            lambda name: client.delete_dashboards(DashboardNames=[name]),
            lambda _, properties: dashboard(properties),
        ),
    }


def _storage(region: str) -> dict[str, Kind]:
    s3, ecr = boto3.client("s3", region), boto3.client("ecr", region)

    def bucket(properties: Properties) -> str:
        name = _made_up("absa-storage-bucket")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
        s3.put_public_access_block(
            Bucket=name, PublicAccessBlockConfiguration=properties["PublicAccessBlockConfiguration"]
        )
        if "VersioningConfiguration" in properties:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=properties["VersioningConfiguration"])
        return name

    def policy(properties: Properties) -> str:
        # Moto obeys a Deny whatever its condition says, and would refuse everything.
        document = json.dumps(properties["PolicyDocument"])
        validate("s3", "PutBucketPolicy", {"Bucket": properties["Bucket"], "Policy": document})
        return f"policy of {properties['Bucket']}"

    def repository(properties: Properties) -> str:
        ecr.create_repository(
            repositoryName=properties["RepositoryName"],
            imageTagMutability=properties["ImageTagMutability"],
            imageScanningConfiguration={"scanOnPush": properties["ImageScanningConfiguration"]["ScanOnPush"]},
        )
        ecr.put_lifecycle_policy(
            repositoryName=properties["RepositoryName"],
            lifecyclePolicyText=properties["LifecyclePolicy"]["LifecyclePolicyText"],
        )
        return str(properties["RepositoryName"])

    def of_bucket(name: str, attribute: str) -> str:
        assert attribute == "Arn"
        return f"arn:aws:s3:::{name}"

    def of_repository(name: str, attribute: str) -> str:
        assert attribute == "RepositoryUri"
        return f"111122223333.dkr.ecr.{region}.amazonaws.com/{name}"

    return {
        "AWS::S3::Bucket": Kind(
            bucket, lambda name: s3.delete_bucket(Bucket=name), lambda *_: None, attribute=of_bucket
        ),
        # Deleted with its bucket, or after it.
        "AWS::S3::BucketPolicy": Kind(policy, lambda _: None, lambda _, properties: policy(properties)),
        "AWS::ECR::Repository": Kind(
            repository,
            lambda name: ecr.delete_repository(repositoryName=name, force=True),
            lambda *_: None,
            attribute=of_repository,
        ),
    }


def _others(region: str) -> dict[str, Kind]:
    logs, sns, iam = boto3.client("logs", region), boto3.client("sns", region), boto3.client("iam", region)

    def log_group(properties: Properties) -> str:
        name = str(properties["LogGroupName"])
        logs.create_log_group(logGroupName=name)
        retention(name, properties)
        return name

    def retention(name: str, properties: Properties) -> None:
        logs.put_retention_policy(logGroupName=name, retentionInDays=properties["RetentionInDays"])

    def topic(properties: Properties) -> str:
        return sns.create_topic(Name=properties["TopicName"])["TopicArn"]

    def role(properties: Properties) -> str:
        name = _made_up("Role")
        trust = json.dumps(properties["AssumeRolePolicyDocument"])
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        put_policies(name, properties)
        return name

    def put_policies(name: str, properties: Properties) -> None:
        for policy in properties["Policies"]:
            document = json.dumps(policy["PolicyDocument"])
            iam.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document)

    def delete_role(name: str) -> None:
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)

    def managed_policy(properties: Properties) -> str:
        document = json.dumps(properties["PolicyDocument"])
        return iam.create_policy(PolicyName=_made_up("Policy"), PolicyDocument=document)["Policy"]["Arn"]

    return {
        "AWS::Logs::LogGroup": Kind(log_group, lambda name: logs.delete_log_group(logGroupName=name), retention),
        "AWS::SNS::Topic": Kind(topic, lambda arn: sns.delete_topic(TopicArn=arn)),
        "AWS::IAM::Role": Kind(
            role, delete_role, put_policies, lambda name, _: iam.get_role(RoleName=name)["Role"]["Arn"]
        ),
        "AWS::IAM::ManagedPolicy": Kind(managed_policy, lambda arn: iam.delete_policy(PolicyArn=arn)),
    }
