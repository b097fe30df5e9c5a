"""The second Region: what is copied there, and the name that leads callers to the nearest healthy one."""

import pytest

from tests.cloud.resource_kinds import validate

from .stacks import resolver

TRAFFIC = {
    "DomainName": "absa.example.com",
    "HostedZoneId": "Z0123456789",
    "CertificateArn": "arn:aws:acm:eu-west-1:111122223333:certificate/1",
    "RestApiId": "abc123",
}
REPLICA = {"ReplicaRegion": "eu-central-1", "ReplicaArtifactsBucket": "artifacts-there"}


def test_artifacts_are_copied_and_deletions_are_not():
    """S3 takes the rule: versioned bucket, whole bucket, no deletion repeated."""
    bucket = resolver("storage", **REPLICA).properties("Artifacts")
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    found = bucket["ReplicationConfiguration"]
    rules = [{("ID" if name == "Id" else name): value for name, value in rule.items()} for rule in found["Rules"]]
    configuration = {"Role": found["Role"], "Rules": rules}
    validate("s3", "PutBucketReplication", {"Bucket": "artifacts", "ReplicationConfiguration": configuration})
    (rule,) = rules
    assert rule["Destination"]["Bucket"] == "arn:aws:s3:::artifacts-there"
    assert rule["DeleteMarkerReplication"] == {"Status": "Disabled"}


def test_images_of_the_repository_are_copied():
    """ECR takes the rule, and it names our repository and no other."""
    found = resolver("storage", **REPLICA).properties("ImageReplication")["ReplicationConfiguration"]
    ((destinations, filters),) = [(rule["Destinations"], rule["RepositoryFilters"]) for rule in found["Rules"]]
    lowered = {
        "rules": [
            {
                "destinations": [{"region": each["Region"], "registryId": each["RegistryId"]} for each in destinations],
                "repositoryFilters": [{"filter": each["Filter"], "filterType": each["FilterType"]} for each in filters],
            }
        ]
    }
    validate("ecr", "PutReplicationConfiguration", {"replicationConfiguration": lowered})
    assert [each["Filter"] for each in filters] == ["absa-server"]


@pytest.mark.parametrize(
    ("given", "kind"),
    [({}, "CLOUDWATCH_METRIC"), ({"ProbePath": "/live/v1/health"}, "HTTPS")],
)
def test_health_check_is_one_that_route_53_takes(given, kind):
    """By the endpoint's own alarm, or by a path that answers without authorization."""
    found = resolver("traffic", **TRAFFIC, **given).properties("Health")["HealthCheckConfig"]
    assert found["Type"] == kind
    validate("route53", "CreateHealthCheck", {"CallerReference": "1", "HealthCheckConfig": found})


@pytest.mark.parametrize(("given", "alarm"), [({}, "reviews-rollback-5xx"), ({"ProbeAlarmName": "mine"}, "mine")])
def test_health_check_follows_the_endpoints_own_alarm(given, alarm):
    """Whatever the endpoint is called; unless another is named."""
    found = resolver("traffic", **TRAFFIC, EndpointName="reviews", **given).properties("Health")["HealthCheckConfig"]
    assert found["AlarmIdentifier"] == {"Name": alarm, "Region": "eu-west-1"}


def test_alarm_is_one_that_route_53_can_follow():
    """A plain metric with a plain statistic: no expression, no percentile."""
    alarm = resolver("endpoint").properties("ErrorsRollBack")
    assert alarm["Statistic"] == "Sum"
    assert not {"Metrics", "ExtendedStatistic"} & set(alarm)


def test_record_is_answered_by_latency_while_healthy():
    """One record set a Region, told apart by its name, held by its health check."""
    found = resolver("traffic", **TRAFFIC).properties("Record")
    assert (found["Region"], found["SetIdentifier"], found["HealthCheckId"]) == (
        "eu-west-1",
        "absa-eu-west-1",
        "Health",
    )
    record = {name: value for name, value in found.items() if name != "HostedZoneId"}
    change = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    validate("route53", "ChangeResourceRecordSets", {"HostedZoneId": found["HostedZoneId"], "ChangeBatch": change})
