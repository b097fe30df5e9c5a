"""The instances of one variant: as many as asked for, one chosen for each request, lost ones replaced.

Knows health and routing; nothing of requests' content.
"""

import asyncio
import itertools
import logging
import random
from collections.abc import Callable, Sequence

from local_sagemaker.definitions import Routing, VariantDefinition
from local_sagemaker.errors import LocalSageMakerError, ServiceUnavailable
from local_sagemaker.instance import Instance
from local_sagemaker.limits import Limits

logger = logging.getLogger("local_sagemaker")


def choose(instances: Sequence[Instance], routing: Routing, rng: random.Random) -> Instance:
    """One of `instances` at random; with LEAST_OUTSTANDING_REQUESTS one of those with the fewest in flight."""
    if routing == "LEAST_OUTSTANDING_REQUESTS":
        fewest = min(instance.in_flight for instance in instances)
        instances = [instance for instance in instances if instance.in_flight == fewest]
    return rng.choice(instances)


class Fleet:
    """Lives on one event loop. `start` it, then `close` it, whatever came of the start."""

    def __init__(
        self,
        variant: VariantDefinition,
        create: Callable[[str], Instance],
        *,
        limits: Limits,
        rng: random.Random,
    ) -> None:
        """`create` makes an instance of a given name."""
        self.variant = variant
        self.instances: list[Instance] = []
        self._create = create
        self._limits = limits
        self._rng = rng
        self._numbers = itertools.count(1)
        self._watchers: dict[Instance, asyncio.Task[None]] = {}
        self._replacements: set[asyncio.Task[None]] = set()

    @property
    def in_service(self) -> list[Instance]:
        """The instances that requests are routed to."""
        return [instance for instance in self.instances if instance.state == "InService"]

    async def start(self) -> None:
        """All instances, side by side. Raises `ContainerFailed` when one of them fails, as CreateEndpoint would."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.variant.instances):
                    group.create_task(self._add())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def choose(self, *, other_than: Sequence[Instance] = ()) -> Instance:
        """An instance in service. Raises `ServiceUnavailable` when there is none."""
        candidates = [instance for instance in self.in_service if instance not in other_than]
        if not candidates:
            raise ServiceUnavailable(f"variant {self.variant.name}: no instance is in service; one is being replaced")
        return choose(candidates, self.variant.routing, self._rng)

    async def retire(self, instance: Instance) -> None:
        """End an instance as scaling in, patching and updates do: no new requests, SIGTERM, 30 s, SIGKILL; replace it.

        Returns when it has ended.
        """
        watcher = self._watchers.pop(instance)
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
        await self._replace(instance, why="is retired")

    async def close(self) -> None:
        """End everything."""
        tasks = [*self._watchers.values(), *self._replacements]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(instance.stop() for instance in self.instances))
        self.instances.clear()

    async def _add(self) -> None:
        instance = self._create(f"i-{next(self._numbers):04d}")
        self.instances.append(instance)
        logger.info("%s/%s: starting", self.variant.name, instance.name)
        try:
            await instance.start(limit_s=self.variant.startup_s or self._limits.startup_s)
        except BaseException:  # cancelled, too: what was started must not stay
            await instance.stop()
            self.instances.remove(instance)
            raise
        logger.info("%s/%s: InService", self.variant.name, instance.name)
        self._watchers[instance] = asyncio.create_task(self._supervise(instance))

    async def _supervise(self, instance: Instance) -> None:
        why = await instance.watch()
        self._watchers.pop(instance, None)
        await self._replace(instance, why=why)

    async def _replace(self, instance: Instance, *, why: str) -> None:
        logger.warning("%s/%s: %s; it is replaced", self.variant.name, instance.name, why)
        instance.state = "Stopping"  # no request is routed to it from here on
        task = asyncio.create_task(self._add_until_one_starts())
        self._replacements.add(task)
        task.add_done_callback(self._replacements.discard)
        # Requests that were routed to it a moment ago have their connection before it stops listening.
        await asyncio.sleep(self._limits.deregistration_s)
        await instance.stop()
        self.instances.remove(instance)

    async def _add_until_one_starts(self) -> None:
        while True:
            try:
                await self._add()
            except LocalSageMakerError as error:
                logger.warning("%s: the replacement failed too: %s", self.variant.name, error)
                await asyncio.sleep(self._limits.replacement_pause_s)
            else:
                return
