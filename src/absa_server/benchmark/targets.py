"""What a knee means for autoscaling. Knows the two metrics that SageMaker scales by, and no AWS API."""

import math
from dataclasses import dataclass

# AWS's own starting value: an instance is planned for half of what it can do, so that a burst finds room while
# further instances start (SageMaker guide, "Load testing your auto scaling configuration").
DEFAULT_SAFETY_FACTOR = 0.5


@dataclass(frozen=True, slots=True)
class ScalingTargets:
    """Target values of the two target-tracking policies, for one instance."""

    safety_factor: float
    invocations_per_instance_per_minute: int
    concurrent_requests_per_instance: float


def scaling_targets(*, max_rps: float, mean_latency_s: float, safety_factor: float) -> ScalingTargets:
    """Targets from the knee: `max_rps × safety × 60`, and Little's `max_rps × latency × safety`, at least 1 each."""
    return ScalingTargets(
        safety_factor=safety_factor,
        invocations_per_instance_per_minute=max(1, math.floor(max_rps * safety_factor * 60)),
        concurrent_requests_per_instance=max(1.0, round(max_rps * mean_latency_s * safety_factor, 2)),
    )
