"""Metrics that there are for an endpoint: SageMaker's, by shape, and those that the containers write.

Source of SageMaker's: monitor-cloudwatch, async-inference-monitor.
"""

from absa_server.telemetry.emf_metrics import NAMES, NAMESPACE

INVOCATIONS = {
    "Invocations",
    "InvocationsPerInstance",
    "Invocation4XXErrors",
    "Invocation5XXErrors",
    "InvocationModelErrors",
    "ModelLatency",
    "OverheadLatency",
    "ConcurrentRequestsPerModel",
}
MULTI_MODEL = {
    "ModelLoadingWaitTime",
    "ModelUnloadingTime",
    "ModelDownloadingTime",
    "ModelLoadingTime",
    "ModelCacheHit",
}
PIPELINE = {"ContainerLatency"}
ASYNC = {"ApproximateBacklogSize", "ApproximateBacklogSizePerInstance", "HasBacklogWithoutCapacity"}
# An asynchronous endpoint counts its requests by other metrics.
NOT_ASYNC = {"Invocations", "InvocationsPerInstance", "OverheadLatency", "ConcurrentRequestsPerModel"}
INSTANCES = {"CPUUtilization", "MemoryUtilization", "DiskUtilization"}


def published(shape: str) -> set[tuple[str, str]]:
    """(namespace, name) of every metric that an endpoint of this shape has."""
    names = set(INVOCATIONS)
    names |= MULTI_MODEL if "multi-model" in shape else set()
    names |= PIPELINE if "pipeline" in shape else set()
    if shape == "async":
        names = names - NOT_ASYNC | ASYNC
    instances = INSTANCES | ({"LoadedModelCount"} if "multi-model" in shape else set())
    return {("AWS/SageMaker", name) for name in names} | {("/aws/sagemaker/Endpoints", name) for name in instances}


def written() -> set[tuple[str, str]]:
    """(namespace, name) of every metric that the containers themselves write."""
    return {(NAMESPACE, name) for name in NAMES}
