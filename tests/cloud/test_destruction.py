"""Destroy: what goes, in which order, and what stays until it is told to go."""

import boto3
import pytest

from absa_server.cloud.deployment import Deployment, Request
from absa_server.cloud.errors import Refused, StackFailed

from .scenes import GIVEN, INFRA, REGION, SECOND


def buckets() -> list[str]:
    return [bucket["Name"] for bucket in boto3.client("s3", REGION).list_buckets()["Buckets"]]


def test_destroy_keeps_the_data(stage, counted):
    """Stacks go, the last made first; buckets, releases and images stay with the shared stack."""
    clients = counted.clients()
    stage.deploy(clients)
    stage.watch.ended.clear()
    stage.destroy(clients)
    assert [name for name, _ in stage.watch.ended] == ["absa-dashboard", "absa-alarms", "absa-endpoint", "absa-roles"]
    assert [stack.name for stack in stage.service.describe(None)] == ["absa-storage"]
    assert len(buckets()) == 2
    assert stage.releases().numbers() == [1]


def test_deploy_after_destroy_goes_on_counting(stage, counted):
    """Releases of the past are still there."""
    clients = counted.clients()
    stage.deploy(clients)
    stage.destroy(clients)
    stage.deploy(clients, Image=SECOND)
    assert stage.releases().numbers() == [2, 1]


def test_destroy_with_data_leaves_nothing(stage, counted):
    """Every version of every object, every image, then the stack."""
    clients = counted.clients()
    bucket = stage.deploy(clients)["storage"]["ArtifactsBucket"]
    s3 = boto3.client("s3", REGION)
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="models/v1/model.tar.gz", Body=body)
    s3.delete_object(Bucket=bucket, Key="models/v1/model.tar.gz")
    stage.destroy_all(clients)
    assert buckets() == []
    assert boto3.client("ecr", REGION).describe_repositories()["repositories"] == []
    assert stage.service.describe(None) == []
    stage.destroy_all(clients)


def test_data_of_others_are_kept(stage, counted):
    """Another endpoint that lives from the same buckets is named."""
    clients = counted.clients()
    stage.deploy(clients)
    Deployment(clients, endpoint="other", watch=stage.watch, sleep=lambda _: None).deploy(Request(GIVEN), INFRA)
    destruction = stage.destruction(clients)
    with pytest.raises(Refused, match="shared with other"):
        destruction.refuse_if_shared()
    Deployment(clients, endpoint="other", watch=stage.watch, sleep=lambda _: None)
    stage.destroy(clients)
    assert stage.service.named("other-endpoint") is not None


def test_stack_that_is_held_is_told_and_tried_again(stage, counted):
    """What was deleted before it stays deleted; the next run goes on from there."""
    clients = counted.clients()
    stage.deploy(clients)
    stage.service.fails.append("absa-endpoint/Endpoint")
    with pytest.raises(StackFailed, match=r"(?s)absa-endpoint is DELETE_FAILED.*Endpoint"):
        stage.destroy(clients)
    assert stage.service.named("absa-alarms") is None
    stage.destroy(clients)
    assert [stack.name for stack in stage.service.describe(None)] == ["absa-storage"]
