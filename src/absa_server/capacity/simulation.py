"""The door to the simulation of a burst: what needs simpy is imported here, and its absence said in words."""

from typing import TYPE_CHECKING

from absa_server.capacity.errors import MissingDependency
from absa_server.capacity.fleet import Demand, Fleet
from absa_server.capacity.load_test import Instance

if TYPE_CHECKING:
    from absa_server.capacity.scenario import Outcome


def simulate_burst(
    instance: Instance, demand: Demand, fleet: Fleet, *, burst_s: float, start_s: float
) -> "tuple[Outcome, str]":
    """What the burst came to, and the assumptions in words. Raises `MissingDependency`."""
    try:
        from absa_server.capacity.burst import Assumptions  # noqa: PLC0415  simpy is an extra
        from absa_server.capacity.scenario import Burst, describe, try_burst  # noqa: PLC0415
    except ImportError:
        raise MissingDependency("simulations need simpy: pip install 'absa-server[plan]'") from None
    burst = Burst(length_s=burst_s)
    assumptions = Assumptions(start_s=start_s, min_instances=fleet.instances, max_instances=fleet.max_capacity)
    outcome = try_burst(instance, demand, fleet, burst=burst, assumptions=assumptions)
    return outcome, describe(instance, demand, fleet, burst=burst, assumptions=assumptions)
