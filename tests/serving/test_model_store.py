"""Leases of a store's models: waits, deadlines, pairs, the default model and the end, with real caches and loader."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from absa_server.errors import ModelNotFound, ModelNotReady, ResourcesExhausted, StoreRefused
from absa_server.http.error_handlers import add_error_handlers
from absa_server.http.execution_parameters import ExecutionParameters
from absa_server.http.invocations import InvocationOptions, Invocations
from absa_server.http.limits import Limits
from absa_server.http.middleware import RequestMiddleware
from absa_server.http.routes import create_router
from absa_server.serving.model_slot import ModelSlot
from absa_server.serving.model_store import ModelStore
from absa_server.serving.served_model import ModelChoice
from absa_server.serving.service import Service, ServiceLimits
from absa_server.telemetry.prometheus import Metrics
from model_loader import DirectorySource, DiskCache, Footprint, Loader, MemoryCache
from model_loader import StoreRefused as Refused
from model_loader.loader import LoaderOptions

WAIT_S = 20


class World:
    """A store of models of 40 bytes each, and memory for two. Each load waits until the gate is open."""

    def __init__(self, folder: Path, loaded, *, free_floor_bytes: int = 0, size_bytes: int = 40) -> None:
        self.root = folder / "store"
        self.root.mkdir()
        self.gate = threading.Event()
        self.gate.set()
        self.loads: list[str] = []
        self._loaded = loaded
        self.pool, self.store_pool = ThreadPoolExecutor(4), ThreadPoolExecutor(4)
        memory = MemoryCache(
            100,
            executor=self.pool,
            loads_at_once=4,
            size_of=lambda _: size_bytes,
            close_value=lambda _: 40,
            failure_memory_s=0.0,
        )
        self.loader = Loader(
            DirectorySource(self.root),
            DiskCache(folder / "disk", free_floor_bytes=free_floor_bytes),
            memory,
            load=self._load,
            footprint_of=lambda _: Footprint.of(40),
            executor=self.store_pool,
            options=LoaderOptions(failure_memory_s=0.0),
        )
        for name in "abcd":
            self.put(name)

    def put(self, name: str) -> None:
        (self.root / name).mkdir()
        (self.root / name / "name").write_text(name)

    def _load(self, folder: Path):
        assert self.gate.wait(WAIT_S)
        self.loads.append((folder / "name").read_text())
        both = replace(self._loaded.pipeline, rater=object())
        return replace(self._loaded, pipeline=both, resident_bytes=60 if self.loads[-1] in "cd" else 40)

    def close(self) -> None:
        self.gate.set()
        self.loader.close()
        self.loader.memory.close()
        self.pool.shutdown()
        self.store_pool.shutdown()


@pytest.fixture
def world(tmp_path, loaded):
    made = World(tmp_path, loaded)
    yield made
    made.close()


def hold(world: World, *names: str):
    return [world.loader.request(name).result(WAIT_S) for name in names]


async def use(store: ModelStore, **choice: str) -> dict[str, str]:
    async with store.use(ModelChoice(**choice)) as served:
        return {role: label.partition("@")[0] for role, label in served.models.items()}


def application(world: World, *, timeout_s: float) -> tuple[FastAPI, Invocations, Service]:
    metrics = Metrics()
    store = ModelStore(world.loader)
    service = Service(ModelSlot(None), ServiceLimits(1, 64, timeout_s))
    options = InvocationOptions(Limits(10, 1000, 10), 1 << 20, None, timeout_s)
    invocations = Invocations(service, metrics, options, store=store)
    app = FastAPI()
    parameters = ExecutionParameters(service, max_payload_mb=1, streams=1)
    app.include_router(create_router(invocations, lambda: store.is_ready, metrics, parameters))
    add_error_handlers(app)
    app.add_middleware(RequestMiddleware, metrics=metrics)
    return app, invocations, service


def ask(world: World, name: str, *, timeout_s: float) -> httpx.Response:
    app, invocations, service = application(world, timeout_s=timeout_s)

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return await client.post("/invocations", json={"text": "a", "parameters": {"model": name}})

    response = asyncio.run(post())
    service.close()
    invocations.close()
    return response


def test_everything_in_use_waits_to_the_deadline(world):
    """503 with Retry-After once the time is over, and no model was evicted; with room again the next is answered."""
    leases = hold(world, "a", "b")
    response = ask(world, "c", timeout_s=0.2)
    assert (response.status_code, response.json()["type"]) == (503, "DeadlineExceeded")
    assert "waited for room" in response.json()["message"]
    assert int(response.headers["retry-after"]) > 0
    assert sorted(key.partition("#")[0][-1] for key in world.loader.memory.keys()) == ["a", "b"]  # noqa: SIM118
    for lease in leases:
        lease.release()


def test_deadline_covers_the_cold_load(world):
    """A load that outlasts a request is told as such, and goes on for the others."""
    world.gate.clear()
    response = ask(world, "a", timeout_s=0.2)
    assert (response.status_code, response.json()["type"]) == (503, "DeadlineExceeded")
    assert "still being loaded" in response.json()["message"]
    world.gate.set()
    hold(world, "a")[0].release()
    assert world.loads == ["a"]


def test_full_disk_is_a_shortage(tmp_path, loaded):
    """507 when the file system has no room, whatever is evicted."""
    world = World(tmp_path, loaded, free_floor_bytes=1 << 60)
    response = ask(world, "a", timeout_s=10)
    assert (response.status_code, response.json()["type"]) == (507, "ResourcesExhausted")
    world.close()


def test_waiting_request_that_is_cancelled_holds_nothing(world):
    """Its place in the queue and its lease are given up; others go on waiting for the same load."""

    async def both() -> dict[str, str]:
        store = ModelStore(world.loader)
        leaving = asyncio.create_task(use(store, model="a"))
        staying = asyncio.create_task(use(store, model="a"))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        world.gate.set()
        return await staying

    world.gate.clear()
    assert asyncio.run(both()) == {"model": "a"}
    assert world.loads == ["a"]
    assert world.loader.memory.stats().leased == 0


def test_pairs_do_not_wait_for_each_other(world):
    """Many chains over three models, and memory for two: all are answered, whatever the order."""

    async def many() -> list[dict[str, str]]:
        store = ModelStore(world.loader)
        names = [("a", "b"), ("b", "a"), ("b", "e"), ("e", "a")] * 4
        return await asyncio.gather(*(use(store, aspect_model=one, sentiment_model=two) for one, two in names))

    world.put("e")
    assert len(asyncio.run(many())) == 16
    assert world.loader.memory.stats().leased == 0


def test_pair_larger_than_the_budget_is_a_shortage(world):
    """Each of the two would fit alone: 507 names the variable instead of loading them in turn for ever."""
    with pytest.raises(ResourcesExhausted, match="ABSA_MEMORY_BUDGET_MB"):
        asyncio.run(use(ModelStore(world.loader), aspect_model="c", sentiment_model="d"))
    assert world.loader.memory.stats().leased == 0


def test_pair_beside_models_in_use_is_told_to_come_back(tmp_path, loaded):
    """There is room for one of the two at a time only: some tries, then 503 with a time."""
    world = World(tmp_path, loaded)
    lease = hold(world, "a")[0]
    with pytest.raises(ModelNotReady, match="at one time") as caught:
        asyncio.run(use(ModelStore(world.loader), aspect_model="b", sentiment_model="c"))
    assert caught.value.retry_after_s
    lease.release()
    world.close()


def test_fault_of_one_of_a_pair_is_the_answer(world):
    """A missing second model is told, and the first is not kept in use."""
    with pytest.raises(ModelNotFound, match="nowhere"):
        asyncio.run(use(ModelStore(world.loader), aspect_model="a", sentiment_model="nowhere"))
    assert world.loader.memory.stats().leased == 0


def test_default_model_that_comes_later_makes_the_store_ready(world, monkeypatch, caplog, eventually):
    """It is tried again until it loads; each reason is told once; then it is pinned."""
    monkeypatch.setattr("absa_server.serving.model_store._FIRST_PAUSE_S", 0.01)

    async def start() -> None:
        store = ModelStore(world.loader, default="late")
        store.start()
        await asyncio.to_thread(eventually, lambda: "default_model_failed" in caplog.text)
        assert not store.is_ready
        world.put("late")
        await asyncio.to_thread(eventually, lambda: store.is_ready)
        assert await use(store) == {"model": "late"}
        await store.close()

    asyncio.run(start())
    assert caplog.text.count("default_model_failed") == 1


def test_closing_ends_the_wait_for_a_default_model(world):
    """The server can stop while its default model is still missing."""

    async def start() -> bool:
        store = ModelStore(world.loader, default="nowhere")
        store.start()
        await asyncio.sleep(0)
        await store.close()
        return store.is_ready

    assert not asyncio.run(start())


def test_refusal_of_the_store_is_passed_on(world, monkeypatch):
    """The message of the store's refusal, which names bucket and action, reaches the caller."""

    def refuse(name, *, deadline):
        raise Refused("s3:GetObject on bucket b was refused")

    monkeypatch.setattr(world.loader._delivery._source, "resolve", refuse)
    with pytest.raises(StoreRefused, match="s3:GetObject on bucket b"):
        asyncio.run(use(ModelStore(world.loader), model="a"))
