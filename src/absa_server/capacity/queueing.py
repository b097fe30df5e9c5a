"""The M/M/c queue in closed form: Poisson arrivals, exponential service, c servers, first come first served.

Source: A. K. Erlang 1917; e.g. Gross, Shortle, Thompson and Harris, "Fundamentals of Queueing Theory", chapter 3. Rates
are per second, times in seconds.
"""

import math
from dataclasses import dataclass

PRECISION = 1e-9


@dataclass(frozen=True, slots=True)
class Queue:
    """`servers` that each serve `service_rps`, offered `arrival_rps`. Has a steady state only below `utilisation` 1."""

    arrival_rps: float
    service_rps: float
    servers: int

    @property
    def offered_load(self) -> float:
        """Mean number of busy servers, in erlangs."""
        return self.arrival_rps / self.service_rps

    @property
    def utilisation(self) -> float:
        """Share of the servers' time that is asked for."""
        return self.offered_load / self.servers

    @property
    def is_stable(self) -> bool:
        """Whether the queue does not grow for ever."""
        return self.utilisation < 1

    def wait_probability(self) -> float:
        """Erlang C: the share of arrivals that find all servers busy; 1 where the queue is not stable."""
        if not self.is_stable:
            return 1.0
        blocked = 1.0  # Erlang B, by its recursion over the number of servers: no factorials, no overflow
        for servers in range(1, self.servers + 1):
            blocked = self.offered_load * blocked / (servers + self.offered_load * blocked)
        return blocked / (1 - self.utilisation * (1 - blocked))

    def mean_wait_s(self) -> float:
        """Mean time in the queue, without service."""
        if not self.is_stable:
            return math.inf
        return self.wait_probability() / (self.servers * self.service_rps - self.arrival_rps)

    def mean_in_system(self) -> float:
        """Mean number waiting or in service (Little's law)."""
        return self.arrival_rps * (self.mean_wait_s() + 1 / self.service_rps)

    def exceeds(self, time_s: float) -> float:
        """The share of requests that take longer than `time_s`, waiting and service together."""
        if not self.is_stable:
            return 1.0
        spare = self.servers - 1 - self.offered_load
        decay = math.exp(-self.service_rps * time_s)
        waits = self.wait_probability()
        if abs(spare) < PRECISION:
            return decay * (1 + waits * self.service_rps * time_s)
        exponent = -self.service_rps * time_s * spare
        if exponent > 0:  # decay × e^exponent, without an overflow of the second factor alone
            grown = math.exp(exponent - self.service_rps * time_s)
            return decay + waits / spare * (decay - grown)
        return decay * (1 + waits / spare * (1 - math.exp(exponent)))

    def percentile_s(self, share: float) -> float:
        """The time within which `share` (0 to 1, exclusive) of the requests are answered."""
        if not self.is_stable:
            return math.inf
        low, high = 0.0, 1 / self.service_rps
        while self.exceeds(high) > 1 - share:
            high *= 2
        while high - low > PRECISION * high:
            middle = (low + high) / 2
            low, high = (middle, high) if self.exceeds(middle) > 1 - share else (low, middle)
        return high
