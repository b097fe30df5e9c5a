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
NOT_IN_MOTO = {"AWS::CloudWatch::CompositeAlarm"}
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
    return {**_sagemaker(region), **_scaling(region), **_cloudwatch(region), **_others(region)}


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
