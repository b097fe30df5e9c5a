"""M/M/c simulated request by request with simpy: slow and exact, the yardstick of the batched simulation."""

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np
import simpy

from absa_server.capacity.queueing import Queue


@dataclass(slots=True)
class ExactRun:
    """What happened to each request that arrived after the warm-up: seconds waited, and seconds in the system."""

    waited_s: list[float] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)


def simulate_exactly(queue: Queue, *, length_s: float, warm_s: float, seed: int) -> ExactRun:
    """Run `queue` for `length_s` of simulated time; requests that arrive before `warm_s` are not recorded."""
    random = np.random.default_rng(seed)
    environment = simpy.Environment()
    servers = simpy.Resource(environment, capacity=queue.servers)
    run = ExactRun()

    def serve() -> Generator[simpy.Event, None, None]:
        came_s = environment.now
        with servers.request() as turn:
            yield turn
            waited_s = environment.now - came_s
            yield environment.timeout(random.exponential(1 / queue.service_rps))
        if came_s >= warm_s:
            run.waited_s.append(waited_s)
            run.took_s.append(environment.now - came_s)

    def arrive() -> Generator[simpy.Event, None, None]:
        while True:
            yield environment.timeout(random.exponential(1 / queue.arrival_rps))
            environment.process(serve())

    environment.process(arrive())
    environment.run(until=length_s)
    return run
