"""A local SageMaker that runs in a thread of the test, and the boto3 client of whoever calls it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local_sagemaker.definitions import Definitions
from local_sagemaker.documents import parse_definitions
from local_sagemaker.front import create_front
from local_sagemaker.hosting import Platform
from local_sagemaker.limits import Limits
from local_sagemaker.serving import listen, serve

READY_S = 120.0


class Stand:
    """A platform that is in service, and its event loop."""

    def __init__(self, platform: Platform, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.platform = platform
        self.url = f"http://127.0.0.1:{port}"
        self._loop = loop
        self._clients: list[Any] = []

    def client(self) -> Any:
        """boto3's own client; only its address is ours."""
        client = boto3.client(
            "sagemaker-runtime",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=70, max_pool_connections=32),
        )
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients:
            client.close()

    def run(self, work: Any) -> Any:
        """The result of a coroutine of the platform."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(READY_S)


@contextmanager
def stand(configuration: dict[str, Any], folder: Path, *, limits: Limits | None = None) -> Iterator[Stand]:
    """Every endpoint of `configuration` in service, behind a free port of this machine."""
    definitions = parse_definitions(configuration, folder=folder)
    with serving(definitions, folder, limits=limits) as ready:
        yield ready


@contextmanager
def serving(definitions: Definitions, folder: Path, *, limits: Limits | None = None) -> Iterator[Stand]:
    """The same, of definitions."""
    ready: list[Stand] = []
    is_ready, failures, stop = threading.Event(), list[BaseException](), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def host() -> None:
        loops.append(asyncio.get_running_loop())
        async with Platform(definitions, folder=folder / "instances", limits=limits) as platform:
            listener = listen("127.0.0.1", 0)
            ready.append(Stand(platform, listener.getsockname()[1], loops[0]))
            await serve(create_front(platform), listener, stop=stop, on_ready=is_ready.set)

    def run() -> None:
        try:
            asyncio.run(host())
        except BaseException as error:
            failures.append(error)
        finally:
            is_ready.set()

    thread = threading.Thread(target=run, name="local-sagemaker")
    thread.start()
    try:
        assert is_ready.wait(READY_S), "the endpoints were not in service in time"
        if failures:
            raise failures[0]
        yield ready[0]
    finally:
        for one in ready:
            one.close()
        if loops and thread.is_alive():
            loops[0].call_soon_threadsafe(stop.set)
        thread.join(READY_S)
    if failures:
        raise failures[0]


def endpoint(name: str, model: str, **variant: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """CreateEndpointConfig and CreateEndpoint of one variant."""
    config = {
        "EndpointConfigName": name,
        "ProductionVariants": [
            {"VariantName": "AllTraffic", "ModelName": model, "InitialInstanceCount": 1, "InstanceType": "ml.c6i.large"}
            | variant
        ],
    }
    return config, {"EndpointName": name, "EndpointConfigName": name}


def configuration(images: dict[str, Any], models: list[dict[str, Any]], **extra: Any) -> dict[str, Any]:
    """One endpoint for each model, of the model's name; `extra` overrides variant fields by model name."""
    pairs = [endpoint(model["ModelName"], model["ModelName"], **extra.get(model["ModelName"], {})) for model in models]
    return {
        "Images": images,
        "Models": models,
        "EndpointConfigs": [config for config, _ in pairs],
        "Endpoints": [one for _, one in pairs],
    }
