"""From a knee to the targets of the two scaling policies."""

from absa_server.benchmark.targets import scaling_targets


def test_targets_are_those_of_the_guides_example():
    """AWS's example: 40 requests a second at a factor of 0.5 are 1,200 invocations a minute; Little gives the other."""
    found = scaling_targets(max_rps=40, mean_latency_s=0.2, safety_factor=0.5)
    assert found.invocations_per_instance_per_minute == 1200
    assert found.concurrent_requests_per_instance == 4.0


def test_targets_are_never_below_one():
    """A target of zero would be refused by the API."""
    found = scaling_targets(max_rps=0.01, mean_latency_s=0.2, safety_factor=0.5)
    assert (found.invocations_per_instance_per_minute, found.concurrent_requests_per_instance) == (1, 1.0)
