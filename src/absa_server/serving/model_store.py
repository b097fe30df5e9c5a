"""Models of a store, leased to requests by name: whole, or one's aspect stage before another's sentiment stage.

Lives on one event loop; no waiting request holds a thread. Bringing, loading, evicting and replacing are the loader's.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from absa_server.errors import AbsaError, InvalidRequest, ModelNotReady, ResourcesExhausted
from absa_server.serving.leases import Lease, granted
from absa_server.serving.loading import LoadedModel
from absa_server.serving.served_model import ModelChoice, NamedModel, ServedModel, chained, check_stages, whole
from absa_server.serving.store_errors import told
from model_loader import CacheBusy, Loader, ModelRef, NameInvalid, abandon

logger = logging.getLogger(__name__)

# How long a request waits before it asks again for room on a disk that others' loads keep full. Higher: fewer looks.
_BUSY_PAUSE_S = 0.25
# How often two models are loaded to be held together before the memory is taken for too contended.
_PAIR_TRIES = 8
_PAIR_RETRY_AFTER_S = 5
# Pauses between tries of a default model that fails, in seconds.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A model and the parameter that named it."""

    name: str
    field: str


class ModelStore:
    """`default` serves requests that name no model; it is pinned, and the store is ready once it has loaded."""

    def __init__(self, loader: Loader[LoadedModel], *, default: str | None = None) -> None:
        self.loader = loader
        self._default = default
        self._is_default_loaded = False
        self._loading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to load the default model; returns at once. Call it on the event loop."""
        if self._default is not None:
            self.loader.pin(self._default)
            self._loading = asyncio.create_task(self._load_default(self._default))

    @property
    def is_ready(self) -> bool:
        """Whether a request could be answered: at once without a default model, else once that has loaded."""
        return self._default is None or self._is_default_loaded

    @asynccontextmanager
    async def use(self, choice: ModelChoice) -> AsyncIterator[ServedModel]:
        """What `choice` names, not closed meanwhile; waits for a load and for room, however long that takes.

        Raises `InvalidRequest` (no or a bad name, a missing stage), `ModelNotFound`, `InvalidModel`, `StoreRefused`,
        `StoreUnavailable`, `ResourcesExhausted`, `ModelNotReady`.
        """
        aspect, sentiment = self._wanted(choice)
        with ExitStack() as held:
            if aspect.name == sentiment.name:
                lease = held.enter_context(await self._lease(aspect))
                _check_named_stages(lease.value, choice)
                yield whole(_named(lease, aspect))
            else:
                first, second = await self._lease_both(aspect, sentiment)
                held.enter_context(first)
                held.enter_context(second)
                yield chained(_named(first, aspect), _named(second, sentiment))

    def _wanted(self, choice: ModelChoice) -> tuple[_Wanted, _Wanted]:
        """The models of the two stages. A single stage's name goes before that of the whole."""
        if choice.model is not None and choice.aspect_model is not None and choice.sentiment_model is not None:
            raise InvalidRequest("parameters.model: expected it, or aspect_model and sentiment_model; got all three")
        rest = self._default if choice.model is None else choice.model
        aspect = rest if choice.aspect_model is None else choice.aspect_model
        sentiment = rest if choice.sentiment_model is None else choice.sentiment_model
        if aspect is None or sentiment is None:
            missing = "model" if choice.is_empty else "aspect_model" if aspect is None else "sentiment_model"
            raise InvalidRequest(
                f"parameters.{missing}: missing; name a model of the store (this server has no ABSA_DEFAULT_MODEL)"
            )
        return (
            _checked(aspect, "model" if choice.aspect_model is None else "aspect_model"),
            _checked(sentiment, "model" if choice.sentiment_model is None else "sentiment_model"),
        )

    async def _lease(self, wanted: _Wanted) -> Lease:
        while True:
            try:
                return await granted(self.loader.request(wanted.name))
            except CacheBusy:  # of the disk: memory waits by itself
                await asyncio.sleep(_BUSY_PAUSE_S)
            except Exception as error:  # whatever a broken model makes its load raise
                raise told(error, name=wanted.name, field=wanted.field) from error

    async def _lease_both(self, first: _Wanted, second: _Wanted) -> tuple[Lease, Lease]:
        """Both at once, and never one while the other is waited for: two such requests could wait for each other."""
        for _ in range(_PAIR_TRIES):
            leases = self._lease_both_now(first, second)
            if leases is not None:
                return leases
            sizes = await asyncio.gather(self._warm(first), self._warm(second), return_exceptions=True)
            for size in sizes:
                if isinstance(size, BaseException):
                    raise size
            self._check_room_for(first, second, sum(size for size in sizes if isinstance(size, int)))
        raise ModelNotReady(
            f"{first.name} and {second.name} could not be held in memory at one time beside the models in use",
            retry_after_s=_PAIR_RETRY_AFTER_S,
        )

    def _lease_both_now(self, first: _Wanted, second: _Wanted) -> tuple[Lease, Lease] | None:
        futures = [self.loader.request(wanted.name) for wanted in (first, second)]
        if all(future.done() and future.exception() is None for future in futures):
            return futures[0].result(), futures[1].result()
        for future in futures:
            abandon(future)
        return None

    async def _warm(self, wanted: _Wanted) -> int:
        """Bytes of the model, which is loaded now and, unless others need its room, still is a moment later."""
        with await self._lease(wanted) as model:
            return model.value.resident_bytes

    def _check_room_for(self, first: _Wanted, second: _Wanted, size_bytes: int) -> None:
        budget = self.loader.memory.budget_bytes
        if size_bytes > budget:
            raise ResourcesExhausted(
                f"{first.name} and {second.name} take {size_bytes} bytes together, there is room for {budget}; raise "
                "ABSA_MEMORY_BUDGET_MB"
            )

    async def _load_default(self, name: str) -> None:
        pause_s, last_reason = _FIRST_PAUSE_S, ""
        while not self._is_default_loaded:
            try:
                (await self._lease(_Wanted(name, "model"))).release()
                self._is_default_loaded = True
            except AbsaError as error:
                if error.message != last_reason:  # once, not a line for each try
                    logger.error("default_model_failed", extra={"model": name, "reason": error.message})  # noqa: TRY400
                last_reason = error.message
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def close(self) -> None:
        """Ends downloads, refuses who still waits, frees the models; requests in flight must be over."""
        if self._loading is not None:
            self._loading.cancel()
            with suppress(asyncio.CancelledError):
                await self._loading
        self.loader.close()
        self.loader.memory.close()


def _checked(name: str, field: str) -> _Wanted:
    try:
        ModelRef.parse(name)
    except NameInvalid as error:
        raise told(error, name=name, field=field) from error
    return _Wanted(name, field)


def _named(lease: Lease, wanted: _Wanted) -> NamedModel:
    return NamedModel(lease.value, wanted.name, lease.key)


def _check_named_stages(loaded: LoadedModel, choice: ModelChoice) -> None:
    if choice.aspect_model is not None:
        check_stages(loaded, field="aspect_model", name=choice.aspect_model, is_aspect=True)
    if choice.sentiment_model is not None:
        check_stages(loaded, field="sentiment_model", name=choice.sentiment_model, is_aspect=False)
