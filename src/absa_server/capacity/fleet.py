"""How many instances: by the measured knee, by queueing theory, and with a zone lost; and what follows for scaling."""

import math
from dataclasses import dataclass

from absa_server.capacity.errors import Infeasible
from absa_server.capacity.load_test import Instance
from absa_server.capacity.queueing import Queue

ZONE_LOSS_SHARE = 0.8  # what is left of a fleet after losing a zone may run this close to its knee until it is replaced
MAX_INSTANCES = 100_000


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked. `percentile` is a share, such as 0.99, of requests answered within `latency_s`.

    `lambda_overhead_s` is what a Lambda in front adds to each request; `results_per_object` reviews are kept together.
    """

    rate_rps: float
    percentile: float
    latency_s: float
    burst_factor: float = 3.0
    zones: int = 3
    safety_factor: float = 0.5
    lambda_overhead_s: float = 0.02
    results_per_object: int = 500


@dataclass(frozen=True, slots=True)
class Fleet:
    """The answer. `instances` is the largest of the three sizes, and never below two."""

    by_knee: int
    by_queue: int
    by_zone_loss: int
    instances: int
    max_capacity: int
    percentile_ms_random: float
    percentile_ms_pooled: float
    invocations_target_per_minute: int
    concurrency_target: float
    lambda_concurrency: int
    results_puts_per_s: float


def size_fleet(instance: Instance, demand: Demand) -> Fleet:
    """The fleet for `demand`. Raises `Infeasible` where an idle instance is already too slow."""
    by_knee = math.ceil(demand.rate_rps / (instance.max_rps * demand.safety_factor))
    by_queue = instances_for_percentile(instance, demand)
    by_zone_loss = instances_for_zone_loss(instance, demand)
    instances = max(2, by_knee, by_queue, by_zone_loss)
    return Fleet(
        by_knee=by_knee,
        by_queue=by_queue,
        by_zone_loss=by_zone_loss,
        instances=instances,
        max_capacity=math.ceil(2 * instances * max(1.0, demand.burst_factor / 2)),
        percentile_ms_random=1000 * alone(instance, demand.rate_rps / instances).percentile_s(demand.percentile),
        percentile_ms_pooled=1000 * pooled(instance, demand.rate_rps, instances).percentile_s(demand.percentile),
        invocations_target_per_minute=max(1, math.floor(instance.max_rps * demand.safety_factor * 60)),
        concurrency_target=max(1.0, instance.max_rps * instance.mean_latency_s * demand.safety_factor),
        lambda_concurrency=math.ceil(demand.rate_rps * (instance.mean_latency_s + demand.lambda_overhead_s)),
        results_puts_per_s=demand.rate_rps * instance.reviews_per_request / demand.results_per_object,
    )


def instances_for_zone_loss(instance: Instance, demand: Demand) -> int:
    """So many that the zones left carry the rate at 0.8 of the knee; in one zone there is nothing left to plan with."""
    needed = math.ceil(demand.rate_rps / (ZONE_LOSS_SHARE * instance.max_rps))
    return needed if demand.zones < 2 else math.ceil(needed * demand.zones / (demand.zones - 1))


def instances_for_percentile(instance: Instance, demand: Demand) -> int:
    """The smallest fleet whose percentile is within the limit when requests are routed at random.

    Random routing splits a Poisson stream into Poisson streams: each instance is a queue of its own. Raises
    `Infeasible`.
    """
    if alone(instance, 0.0).percentile_s(demand.percentile) > demand.latency_s:
        raise Infeasible(
            f"an idle instance answers in {1000 * instance.service_s:.0f} ms on average and, with exponential service, "
            f"misses {1000 * demand.latency_s:.0f} ms at p{100 * demand.percentile:g}: no fleet can do better"
        )
    low, high = 0, 1
    while not _is_met(instance, demand, high):
        low, high = high, high * 2
        if high > MAX_INSTANCES:
            raise Infeasible(f"more than {MAX_INSTANCES} instances would be needed for {demand.rate_rps:g} requests/s")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_met(instance, demand, middle) else (middle, high)
    return high


def alone(instance: Instance, rate_rps: float) -> Queue:
    """One instance by itself, offered `rate_rps`."""
    return Queue(rate_rps, instance.slot_rps, instance.slots)


def pooled(instance: Instance, rate_rps: float, instances: int) -> Queue:
    """All instances behind one queue: the best that least-outstanding-requests routing can come to."""
    return Queue(rate_rps, instance.slot_rps, instance.slots * instances)


def _is_met(instance: Instance, demand: Demand, instances: int) -> bool:
    queue = alone(instance, demand.rate_rps / instances)
    return queue.is_stable and queue.exceeds(demand.latency_s) <= 1 - demand.percentile
