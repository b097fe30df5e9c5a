"""One instance of a variant: all containers of its model, started together, watched together, ended together.

Knows containers and their health; nothing of other instances and of requests, but how many it has in flight.
"""

import asyncio
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx

from local_sagemaker import storage
from local_sagemaker.container import Container
from local_sagemaker.definitions import ContainerDefinition, ModelDefinition
from local_sagemaker.errors import ContainerFailed
from local_sagemaker.launch import plan_launch
from local_sagemaker.limits import Limits
from local_sagemaker.multi_model import LoadedModels

State = Literal["Creating", "InService", "Stopping", "Ended"]


class Instance:
    """Lives on one event loop. `start` it, then `stop` it, whatever came of the start."""

    def __init__(
        self,
        name: str,
        model: ModelDefinition,
        *,
        folder: Path,
        client: httpx.AsyncClient,
        limits: Limits,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`folder` is its disk; `environment` is given to every container besides its own."""
        self.name = name
        self.model = model
        self.state: State = "Creating"
        self.in_flight = 0
        self.containers: list[Container] = []
        self.loaded_models: dict[str, LoadedModels] = {}
        self._folder = folder
        self._client = client
        self._limits = limits
        self._environment = environment or {}

    def __repr__(self) -> str:
        return f"<Instance {self.name} {self.state} in_flight={self.in_flight}>"

    async def start(self, *, limit_s: float) -> None:
        """Fetch the models, start the containers, wait for all of them to be ready. Raises `ContainerFailed`."""
        self.containers = [await self._prepare(definition) for definition in self.model.containers]
        try:
            async with asyncio.timeout(limit_s), asyncio.TaskGroup() as group:
                for container in self.containers:
                    group.create_task(self._start_one(container))
        except TimeoutError:
            slow = "; ".join(container.explain("answered no /ping with 200") for container in self.containers)
            raise ContainerFailed(f"{self.name}: not ready after {limit_s:g} s: {slow}") from None
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        self.state = "InService"

    async def _start_one(self, container: Container) -> None:
        await container.start()
        await container.wait_until_ready(self._client, self._limits)

    async def _prepare(self, definition: ContainerDefinition) -> Container:
        base_dir = self._folder / definition.hostname
        base_dir.mkdir(parents=True)
        if definition.is_multi_model:
            (base_dir / "models").mkdir()
        elif definition.model_data_url:
            await asyncio.to_thread(storage.place_artifact, definition.model_data_url, base_dir / "model")
        port = _free_port()
        name = f"local-sagemaker-{self.name}-{definition.hostname}-{port}"
        launch = plan_launch(definition, base_dir=base_dir, port=port, name=name, extra=self._environment)
        container = Container(definition, launch, port=port, base_dir=base_dir, log=base_dir / "container.log")
        if definition.is_multi_model:
            self.loaded_models[definition.hostname] = LoadedModels(container, self._client, self._limits)
        return container

    async def watch(self) -> str:
        """Why the instance has to be replaced, as soon as there is a reason: a container ended, or its pings fail."""
        ends = [asyncio.create_task(self._end_of(container)) for container in self.containers]
        pings = [asyncio.create_task(self._failing_pings(container)) for container in self.containers]
        try:
            done, _ = await asyncio.wait([*ends, *pings], return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        finally:
            for task in (*ends, *pings):
                task.cancel()
            await asyncio.gather(*ends, *pings, return_exceptions=True)

    async def _end_of(self, container: Container) -> str:
        return f"{container.hostname} ended with exit code {await container.wait()}"

    async def _failing_pings(self, container: Container) -> str:
        failed = 0
        while failed < self._limits.failed_pings:
            await asyncio.sleep(self._limits.ping_every_s)
            failed = 0 if await container.ping(self._client, timeout_s=self._limits.ping_s) else failed + 1
        return f"{container.hostname} failed {failed} pings in a row"

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Counts one request as in flight here."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    async def stop(self) -> None:
        """SIGTERM to all containers, SIGKILL after the platform's time; then the disk is gone, but for the logs."""
        self.state = "Stopping"
        for models in self.loaded_models.values():
            await models.close()
        await asyncio.gather(*(container.stop(limit_s=self._limits.stop_s) for container in self.containers))
        for container in self.containers:
            await asyncio.to_thread(_clear, container.base_dir)
        self.state = "Ended"


def _clear(base_dir: Path) -> None:
    model = base_dir / "model"
    if model.is_symlink():
        model.unlink()
    for folder in (model, base_dir / "models"):
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
