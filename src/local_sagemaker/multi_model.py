"""The models of one multi-model container: fetched, unpacked, loaded by `POST /models`, unloaded when it is full.

Follows "Custom Containers Contract for Multi-Model Endpoints" of the developer guide. What that leaves open and is
guessed here: the opaque name (a hash of the address), that a 507 is answered by unloading the least recently used model
nobody asks at the moment and trying again, and that a 404 on invoke loads the model again and asks once more.
"""

import asyncio
import hashlib
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import httpx

from local_sagemaker import storage
from local_sagemaker.container import Container
from local_sagemaker.errors import ModelNotReady, StorageFailed, ValidationError
from local_sagemaker.limits import Limits

_LOADED, _LOADED_ALREADY, _UNKNOWN, _FULL = 200, 409, 404, 507


class LoadRefused(Exception):
    """The container answered `POST /models` with an error, or not at all: `status` 0."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Entry:
    """One model: its files lie on the disk; `is_loaded` says whether the container holds it, too."""

    def __init__(self, target_model: str) -> None:
        self.name = hashlib.sha256(target_model.encode()).hexdigest()[:32]
        self.is_loaded = False
        self.users = 0
        self.last_used = 0
        self.loading: asyncio.Task[None] | None = None


class LoadedModels:
    """Lives on one event loop. Loads of one model are shared by all who wait for it; close it before the container."""

    def __init__(self, container: Container, client: httpx.AsyncClient, limits: Limits) -> None:
        self._container = container
        self._client = client
        self._limits = limits
        self._entries: dict[str, _Entry] = {}
        self._uses = itertools.count(1)
        self._unloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def names(self) -> list[str]:
        """The target models that the container holds, the least recently used first."""
        held = [(entry.last_used, model) for model, entry in self._entries.items() if entry.is_loaded]
        return [model for _, model in sorted(held)]

    @asynccontextmanager
    async def leased(self, target_model: str) -> AsyncIterator[str]:
        """The model's opaque name; it is loaded, and not unloaded while the block runs.

        Raises `ModelNotReady` when the load takes longer than a client waits (it goes on), `ValidationError` when there
        is no such artifact, and `LoadRefused`.
        """
        entry = self._entries.setdefault(target_model, _Entry(target_model))
        entry.users += 1
        entry.last_used = next(self._uses)
        try:
            await self._wait_until_loaded(target_model, entry)
            yield entry.name
        finally:
            entry.users -= 1
            if not self._container.definition.caches_models and entry.users == 0:
                self._keep(self._discard(target_model, entry))

    def forget(self, target_model: str) -> None:
        """The container says that it does not have the model: the next lease loads it again."""
        self._entries[target_model].is_loaded = False

    async def make_room(self) -> bool:
        """Unload the least recently used model that nobody asks; False when there is none."""
        async with self._unloading:
            idle = [entry for entry in self._entries.values() if entry.is_loaded and entry.users == 0]
            if not idle:
                return False
            await self._unload(min(idle, key=lambda entry: entry.last_used))
            return True

    async def close(self) -> None:
        """Ends what is still being loaded."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _wait_until_loaded(self, target_model: str, entry: _Entry) -> None:
        if entry.is_loaded:
            return
        if entry.loading is None or entry.loading.done():
            entry.loading = self._keep(self._load(target_model, entry))
        try:
            await asyncio.wait_for(asyncio.shield(entry.loading), self._limits.model_wait_s)
        except TimeoutError:
            raise ModelNotReady(
                f"Model {target_model} is not ready for inference: it was not loaded within "
                f"{self._limits.model_wait_s:g} s and goes on loading; try again later"
            ) from None

    def _keep(self, work: "asyncio._CoroutineLike[None]") -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget_task)
        return task

    def _forget_task(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waits; perhaps nobody does any more

    async def _load(self, target_model: str, entry: _Entry) -> None:
        await self._fetch(target_model, entry)
        async with self._unloading:  # a DELETE of this very model may be under way
            pass
        while True:
            status, message = await self._post_model(target_model, entry)
            if status in (_LOADED, _LOADED_ALREADY):
                entry.is_loaded = True
                return
            if status != _FULL or not await self.make_room():
                raise LoadRefused(status, message)

    async def _fetch(self, target_model: str, entry: _Entry) -> None:
        folder = self._folder(entry)
        if folder.exists():
            return
        prefix = self._container.definition.model_data_url or ""
        if ".." in target_model.split("/"):
            raise ValidationError(f"TargetModel: expected a path below {prefix}, got {target_model}")
        address = f"{prefix.rstrip('/')}/{target_model.lstrip('/')}"
        try:
            await asyncio.to_thread(storage.place_artifact, address, folder)
        except StorageFailed as error:
            shutil.rmtree(folder.parent, ignore_errors=True)
            raise ValidationError(f"Failed to download model data: {error}") from error

    async def _post_model(self, target_model: str, entry: _Entry) -> tuple[int, str]:
        seen_at = str(self._container.launch.models_seen_at / entry.name / "model")
        headers = {"Accept": "application/json", "X-Amzn-SageMaker-Target-Model": target_model}
        try:
            answer = await self._client.post(
                f"{self._container.url}/models",
                json={"model_name": entry.name, "url": seen_at},
                headers=headers,
                timeout=self._limits.model_load_s,
            )
        except httpx.HTTPError as error:
            return 0, f"no answer to POST /models: {error!r}"
        return answer.status_code, answer.text

    async def _unload(self, entry: _Entry) -> None:
        entry.is_loaded = False  # from now on a new request loads it again, and waits behind this call
        try:
            url = f"{self._container.url}/models/{quote(entry.name)}"
            await self._client.delete(url, timeout=self._limits.model_unload_s)
        except httpx.HTTPError:
            return  # a container that does not answer is found by its pings

    async def _discard(self, target_model: str, entry: _Entry) -> None:
        """For `ModelCacheSetting=Disabled`: nothing stays, neither in the container nor on the disk."""
        async with self._unloading:
            if entry.users:
                return
            self._entries.pop(target_model, None)
            await self._unload(entry)
            await asyncio.to_thread(shutil.rmtree, self._folder(entry).parent, ignore_errors=True)

    def _folder(self, entry: _Entry) -> Path:
        return self._container.base_dir / "models" / entry.name / "model"
