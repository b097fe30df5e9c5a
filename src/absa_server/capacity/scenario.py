"""The burst that a plan is tried with: a base rate, a multiple of it for a while, and the base rate again."""

from collections.abc import Callable
from dataclasses import dataclass

from absa_server.capacity.burst import Assumptions, BurstSimulation, Series
from absa_server.capacity.fleet import Demand, Fleet
from absa_server.capacity.load_test import Instance
from absa_server.capacity.scaling import Policy

CONCURRENCY_PERIOD_S, CONCURRENCY_DELAY_S = 10.0, 10.0
INVOCATIONS_PERIOD_S, INVOCATIONS_DELAY_S = 60.0, 60.0


@dataclass(frozen=True, slots=True)
class Burst:
    """Seconds before the burst, of its rise, of its length and after it."""

    before_s: float = 300.0
    rise_s: float = 10.0
    length_s: float = 900.0
    after_s: float = 1500.0

    @property
    def total_s(self) -> float:
        """From begin to end."""
        return self.before_s + self.length_s + self.after_s

    def traffic(self, base_rps: float, factor: float) -> Callable[[float], float]:
        """The rate at each second: it rises within `rise_s`, stays, and falls as fast."""

        def rate_rps(time_s: float) -> float:
            since, until = time_s - self.before_s, self.before_s + self.length_s - time_s
            height = min(1.0, max(0.0, since / self.rise_s), max(0.0, until / self.rise_s))
            return base_rps * (1 + (factor - 1) * height)

        return rate_rps


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the burst did. `late_s` is how long arrivals took longer than the limit; shares are of all requests."""

    refused_share: float
    worst_latency_s: float
    late_s: float
    most_in_system: int
    first_new_instance_s: float | None
    most_instances: int
    series: Series


def policies(fleet: Fleet) -> tuple[Policy, ...]:
    """Both of the policies that the templates set up, with the fleet's targets."""
    return (
        Policy("concurrency", fleet.concurrency_target, CONCURRENCY_PERIOD_S, CONCURRENCY_DELAY_S, low_periods=90),
        Policy("invocations", fleet.invocations_target_per_minute, INVOCATIONS_PERIOD_S, INVOCATIONS_DELAY_S),
    )


def try_burst(
    instance: Instance, demand: Demand, fleet: Fleet, *, burst: Burst, assumptions: Assumptions, seed: int = 1
) -> Outcome:
    """Simulate the demand's burst against the fleet and its policies."""
    simulation = BurstSimulation(
        instance,
        burst.traffic(demand.rate_rps, demand.burst_factor),
        instances=fleet.instances,
        policies=policies(fleet),
        assumptions=assumptions,
        seed=seed,
    )
    series = simulation.run(burst.total_s)
    refused, answered = sum(series.refused_rps), sum(series.answered_rps)
    grown = [time_s for time_s, ready in zip(series.time_s, series.ready, strict=True) if ready > fleet.instances]
    return Outcome(
        refused_share=refused / max(refused + answered, 1),
        worst_latency_s=max(series.latency_s),
        late_s=float(sum(latency_s > demand.latency_s for latency_s in series.latency_s)),
        most_in_system=max(series.in_system),
        first_new_instance_s=grown[0] - burst.before_s if grown else None,
        most_instances=max(series.ready),
        series=series,
    )


def describe(instance: Instance, demand: Demand, fleet: Fleet, *, burst: Burst, assumptions: Assumptions) -> str:
    """Everything that the picture assumes, in a few lines."""
    concurrency, invocations = policies(fleet)
    return "\n".join(
        (
            f"one instance: knee {instance.max_rps:.0f}/s, capacity {instance.capacity_rps:.0f}/s, {instance.slots} "
            f"slots of {1000 / instance.slot_rps:.0f} ms, exponential; "
            f"{assumptions.pending_per_instance} pending, then 429",
            f"base {demand.rate_rps:,.0f}/s × {demand.burst_factor:g} for {burst.length_s / 60:.0f} min, rising in "
            f"{burst.rise_s:.0f} s; one queue for the fleet; {fleet.instances} instances at first, at most "
            f"{assumptions.max_instances}; a new one serves after {assumptions.start_s:.0f} s",
            f"targets: {concurrency.target:.1f} in flight (metric of {concurrency.period_s:.0f} s, "
            f"{concurrency.delay_s:.0f} s late), {invocations.target:.0f} invocations/min "
            f"({invocations.period_s:.0f} s, {invocations.delay_s:.0f} s late); "
            f"{concurrency.high_periods} samples above; cool-down "
            f"{assumptions.scale_out_cooldown_s:.0f} s out, {assumptions.scale_in_cooldown_s:.0f} s in",
        )
    )
