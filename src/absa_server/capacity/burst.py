"""A burst against target tracking, as a discrete-event simulation (simpy): queue, latency and instances over time.

At 10,000 requests a second an event for each request would be millions a minute. Requests are served in batches
instead: in each step, a tenth of a service time, arrivals are Poisson and completions binomial over the busy slots.
That is the M/M/c queue's own Markov chain, leaped over a step instead of walked request by request: means at low load
and the throughput of busy slots are exact, waiting near full load comes out a little short (completions vary less).
The tests hold it against Erlang's formula and the exact simulation. Scaling, metrics and starts are single events.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import numpy as np
import simpy

from absa_server.capacity.load_test import Instance
from absa_server.capacity.scaling import Policy, Tracker, agree

STEPS_PER_SERVICE = 10


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is not measured but assumed of the platform. Times in seconds.

    `start_s`: from the decision to an instance in service. `is_blocked_while_updating`: no further scaling while some
    start. `pending_per_instance`: requests an instance holds before it answers 429.
    """

    start_s: float = 300.0
    scale_out_cooldown_s: float = 60.0
    scale_in_cooldown_s: float = 600.0
    is_blocked_while_updating: bool = False
    pending_per_instance: int = 256
    min_instances: int = 2
    max_instances: int = 1000


@dataclass(slots=True)
class Series:
    """One sample a second: moments, offered and answered and refused requests a second, waiting, instances, latency.

    `latency_s` is what a request that arrives then will take: its service, and the queue before it at today's capacity.
    """

    time_s: list[float] = field(default_factory=list)
    offered_rps: list[float] = field(default_factory=list)
    answered_rps: list[float] = field(default_factory=list)
    refused_rps: list[float] = field(default_factory=list)
    in_system: list[int] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)
    desired: list[int] = field(default_factory=list)
    latency_s: list[float] = field(default_factory=list)


class BurstSimulation:
    """One run. `traffic(t)` is the rate at second `t`; `instances` are in service at the begin."""

    def __init__(
        self, instance: Instance, traffic: Callable[[float], float], *, instances: int,
        policies: tuple[Policy, ...], assumptions: Assumptions, seed: int = 1,
    ) -> None:  # fmt: skip
        self._instance, self._traffic, self._assumptions = instance, traffic, assumptions
        self._random = np.random.default_rng(seed)
        self._environment = simpy.Environment()
        self._trackers = [Tracker(policy) for policy in policies]
        self._ready = self._desired = instances
        self._in_system = self._arrived = self._answered = self._refused = 0
        self._in_system_seconds = 0.0
        self._last_out_s = self._last_in_s = float("-inf")
        self.series = Series()

    def run(self, length_s: float) -> Series:
        """Simulate `length_s` seconds from the begin."""
        self._environment.process(self._serve())
        self._environment.process(self._record())
        for tracker in self._trackers:
            self._environment.process(self._observe(tracker))
        self._environment.run(until=length_s)
        return self.series

    def _serve(self) -> Generator[simpy.Event, None, None]:
        step_s = 1 / self._instance.slot_rps / STEPS_PER_SERVICE
        while True:
            busy = min(self._in_system, self._ready * self._instance.slots)
            done = int(self._random.binomial(busy, 1 / STEPS_PER_SERVICE))
            came = int(self._random.poisson(self._traffic(self._environment.now) * step_s))
            room = max(0, self._ready * self._assumptions.pending_per_instance - self._in_system + done)
            taken = min(came, room)
            self._in_system += taken - done
            self._arrived += came
            self._answered += done
            self._refused += came - taken
            self._in_system_seconds += self._in_system * step_s
            yield self._environment.timeout(step_s)

    def _record(self) -> Generator[simpy.Event, None, None]:
        while True:
            answered, refused = self._answered, self._refused
            yield self._environment.timeout(1.0)
            series, slots = self.series, self._ready * self._instance.slots
            series.time_s.append(self._environment.now)
            series.offered_rps.append(self._traffic(self._environment.now))
            series.answered_rps.append(self._answered - answered)
            series.refused_rps.append(self._refused - refused)
            series.in_system.append(self._in_system)
            series.ready.append(self._ready)
            series.desired.append(self._desired)
            waiting = max(0, self._in_system - slots)
            series.latency_s.append((1 + waiting / slots) / self._instance.slot_rps)

    def _observe(self, tracker: Tracker) -> Generator[simpy.Event, None, None]:
        """Samples of the policy's metric, each delivered after the metric's delay; every delivery is judged."""
        policy = tracker.policy
        while True:
            arrived, seconds = self._arrived, self._in_system_seconds
            yield self._environment.timeout(policy.period_s)
            if policy.metric == "invocations":
                value = (self._arrived - arrived) * 60 / policy.period_s / self._ready
            else:
                value = (self._in_system_seconds - seconds) / policy.period_s / self._ready
            self._environment.process(self._deliver(tracker, value))

    def _deliver(self, tracker: Tracker, value: float) -> Generator[simpy.Event, None, None]:
        yield self._environment.timeout(tracker.policy.delay_s)
        tracker.add(value)
        self._scale(agree([one.wish(self._ready) for one in self._trackers], ready=self._ready))

    def _scale(self, wish: int) -> None:
        limits, now_s = self._assumptions, self._environment.now
        wish = min(max(wish, limits.min_instances), limits.max_instances)
        is_updating = self._desired != self._ready
        if is_updating and limits.is_blocked_while_updating:
            return
        # Capacity that is on its way counts: only what goes beyond it is started.
        if wish > self._desired and now_s - self._last_out_s >= limits.scale_out_cooldown_s:
            self._environment.process(self._start(wish - self._desired))
            self._desired, self._last_out_s = wish, now_s
        elif wish < self._ready and not is_updating and self._is_calm(now_s):
            self._ready = self._desired = wish
            self._last_in_s = now_s

    def _is_calm(self, now_s: float) -> bool:
        return now_s - max(self._last_in_s, self._last_out_s) >= self._assumptions.scale_in_cooldown_s

    def _start(self, count: int) -> Generator[simpy.Event, None, None]:
        yield self._environment.timeout(self._assumptions.start_s)
        self._ready += count
