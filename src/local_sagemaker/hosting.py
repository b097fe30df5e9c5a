"""All endpoints of one configuration, started and ended together. Knows no HTTP towards clients."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from local_sagemaker.asynchronous import AsyncQueue
from local_sagemaker.definitions import Definitions
from local_sagemaker.endpoint import Endpoint
from local_sagemaker.errors import ContainerFailed, ValidationError
from local_sagemaker.limits import Limits


def container_client() -> httpx.AsyncClient:
    """A client that adds no headers of its own, follows nothing and trusts nothing of the environment."""
    client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=None))
    client.headers.clear()
    return client


class Platform:
    """Lives on one event loop. Starts the endpoints on entering `async with`, and ends them on leaving it."""

    def __init__(self, definitions: Definitions, *, folder: Path, limits: Limits | None = None) -> None:
        """`folder` takes the instances' disks and the containers' logs."""
        self.limits = limits or Limits()
        self._client = container_client()
        self.endpoints = {
            name: Endpoint(one, folder=folder, client=self._client, limits=self.limits)
            for name, one in definitions.endpoints.items()
        }
        self.queues = {
            name: AsyncQueue(self.endpoints[name], one.asynchronous, self.limits)
            for name, one in definitions.endpoints.items()
            if one.asynchronous is not None
        }

    async def __aenter__(self) -> Self:
        """Raises `ContainerFailed` when an endpoint cannot be created; nothing runs then."""
        try:
            async with asyncio.TaskGroup() as group:
                for endpoint in self.endpoints.values():
                    group.create_task(endpoint.start())
        except BaseException as error:
            await self.close()
            if isinstance(error, ExceptionGroup):
                raise ContainerFailed("\n".join(map(str, error.exceptions))) from None
            raise
        for queue in self.queues.values():
            queue.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """SIGTERM to every container, 30 s, SIGKILL."""
        await asyncio.gather(*(queue.close() for queue in self.queues.values()))
        await asyncio.gather(*(endpoint.close() for endpoint in self.endpoints.values()))
        await self._client.aclose()

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of that name. Raises `ValidationError`."""
        if name not in self.endpoints:
            raise ValidationError(f"Endpoint {name} of account 000000000000 not found.")
        return self.endpoints[name]

    def queue(self, name: str) -> AsyncQueue:
        """The queue of an asynchronous endpoint. Raises `ValidationError`."""
        self.endpoint(name)
        if name not in self.queues:
            raise ValidationError(f"Endpoint {name} has no AsyncInferenceConfig; call InvokeEndpoint.")
        return self.queues[name]
