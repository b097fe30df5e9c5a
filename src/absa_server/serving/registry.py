"""The models of a multi-model endpoint: loaded and unloaded when the platform says so, never by ourselves.

Lives on one event loop, which makes every change of state atomic; loading and freeing happen in threads. Loads,
unloads and loads on demand of one name follow one another, those of different names run side by side, and telling what
is loaded never waits.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from absa_server.errors import (
    AbsaError,
    DeadlineExceeded,
    InvalidModel,
    ModelAlreadyLoaded,
    ModelNotFound,
    ModelNotReady,
    ResourcesExhausted,
)
from absa_server.serving.footprints import predicted_footprint
from absa_server.serving.leases import Lease, granted
from absa_server.serving.loading import LoadedModel
from absa_server.serving.model_names import ModelNames
from absa_server.serving.served_model import ServedModel
from absa_server.serving.shortages import is_shortage
from model_loader import CacheBusy, CacheClosed, CacheTooSmall, Footprint, MemoryCache

logger = logging.getLogger(__name__)

_RETRY_AFTER_S = 5


@dataclass(slots=True)
class HostedModel:
    """A model that the platform asked for. Without a lease it was recorded by a worker that died since."""

    name: str
    url: str
    lease: Lease | None = None


class Registry:
    """`load` makes a model of a folder, `footprint_of` predicts what that takes in memory.

    `unload_timeout_s` bounds how long an unload waits for requests in flight.
    """

    def __init__(
        self,
        memory: MemoryCache[LoadedModel],
        load: Callable[[Path], LoadedModel],
        names: ModelNames,
        *,
        footprint_of: Callable[[Path], Footprint] = predicted_footprint,
        unload_timeout_s: float = 300.0,
    ) -> None:
        self.memory = memory
        self.unloads = 0
        self._footprint_of = footprint_of
        self._load = load
        self._names = names
        self._unload_timeout_s = unload_timeout_s
        self._hosted = {name: HostedModel(name, url) for name, url in names.read().items()}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def list(self) -> list[HostedModel]:
        """All models, by name. Never waits."""
        return [self._hosted[name] for name in sorted(self._hosted)]

    def get(self, name: str) -> HostedModel:
        """The model `name`. Raises `ModelNotFound`."""
        if name not in self._hosted:
            raise ModelNotFound(f"Model not found: {name}")
        return self._hosted[name]

    async def load(self, name: str, url: str) -> HostedModel:
        """The model at the folder `url`, once it can answer.

        Raises `ModelAlreadyLoaded`, `ModelNotFound` (nothing lies there), `InvalidModel`, `ResourcesExhausted`.
        """
        async with self._turn(name):
            if name in self._hosted:
                raise ModelAlreadyLoaded(f"Model {name} is already registered.")
            hosted = HostedModel(name, url, await self._lease_new(name, url))
            self._hosted[name] = hosted
            self._record()
            return hosted

    async def unload(self, name: str) -> None:
        """Refuses new requests at once, waits for those in flight, and frees the memory before it returns.

        Raises `ModelNotFound`; `DeadlineExceeded` when requests in flight outlast the bound: they are not cut off, and
        the memory is freed when they end.
        """
        async with self._turn(name):
            hosted = self.get(name)
            del self._hosted[name]
            self.unloads += 1
            self._record()
            if hosted.lease is None:
                return
            freed = self.memory.retire(name)
            hosted.lease.release()
            if freed is not None:
                await self._wait_until_freed(name, freed)

    async def _wait_until_freed(self, name: str, freed: "Future[int]") -> None:
        try:
            async with asyncio.timeout(self._unload_timeout_s):
                reclaimed = await asyncio.shield(asyncio.wrap_future(freed))
        except TimeoutError:
            raise DeadlineExceeded(
                f"{name} takes no new requests, but some in flight outlast {self._unload_timeout_s:g} s; its memory is "
                "freed when they end",
                retry_after_s=_RETRY_AFTER_S,
            ) from None
        logger.info("model_reclaimed", extra={"model": name, "reclaimed_bytes": reclaimed})

    @asynccontextmanager
    async def use(self, name: str) -> AsyncIterator[ServedModel]:
        """The model `name`, not unloaded meanwhile. Raises `ModelNotFound`, and what `load` raises when it has to."""
        hosted = self.get(name)
        if hosted.lease is None:
            hosted = await self._load_again(name)
        joined = self.memory.join(name)
        if joined is None:
            raise ModelNotFound(f"Model not found: {name}")
        lease = await granted(joined)
        try:
            yield ServedModel.of(lease.value, name)
        finally:
            lease.release()

    async def _load_again(self, name: str) -> HostedModel:
        """Brings back what a worker that died had loaded; what cannot come back is forgotten."""
        async with self._turn(name):
            hosted = self.get(name)
            if hosted.lease is None:
                try:
                    hosted.lease = await self._lease_new(name, hosted.url)
                except (InvalidModel, ModelNotFound):
                    del self._hosted[name]
                    self._record()
                    raise
            return hosted

    async def _lease_new(self, name: str, url: str) -> Lease:
        folder = Path(url)
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(None, folder.is_dir):
            raise ModelNotFound(f"Model not found in model store: {url}")
        footprint = await loop.run_in_executor(None, self._footprint_of, folder)
        try:
            return await granted(self.memory.request(name, lambda: self._load(folder), footprint, is_patient=False))
        except AbsaError:
            self._forget_failure(name)
            raise
        except (CacheTooSmall, CacheBusy, MemoryError) as error:
            self._forget_failure(name)
            raise ResourcesExhausted(f"no memory for {name}: {error}; unload others first") from error
        except OSError as error:
            self._forget_failure(name)
            if not is_shortage(error):
                raise InvalidModel(f"{name} could not be read: {error.strerror}") from error
            raise ResourcesExhausted(f"no room for {name}: {error.strerror}; unload others first") from error
        except CacheClosed as error:
            raise ModelNotReady(str(error)) from error
        except Exception as error:
            self._forget_failure(name)
            logger.exception("model_load_failed", extra={"model": name})
            raise InvalidModel(f"unexpected {type(error).__name__} while loading {name}; the log has more") from error

    def _forget_failure(self, name: str) -> None:
        """The platform alone decides when to try again."""
        self.memory.retire(name)

    def _turn(self, name: str) -> asyncio.Lock:
        """The lock that orders what is done to one name; it lives as long as somebody holds or awaits it."""
        return self._turns.setdefault(name, asyncio.Lock())

    def _record(self) -> None:
        self._names.write({hosted.name: hosted.url for hosted in self._hosted.values()})

    def close(self) -> None:
        """Frees all models; requests in flight must be over. The record stays, for the next worker."""
        for hosted in self._hosted.values():
            if hosted.lease is not None:
                hosted.lease.release()
        self.memory.close()
