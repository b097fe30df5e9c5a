"""One endpoint: its variants' fleets, a variant and an instance for each request, another one if that was not there."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from local_sagemaker.definitions import EndpointDefinition, VariantDefinition
from local_sagemaker.errors import ServiceUnavailable, ValidationError
from local_sagemaker.fleet import Fleet
from local_sagemaker.headers import MAX_CHARS, Call
from local_sagemaker.instance import Instance
from local_sagemaker.invocation import Answer, Invoker, NotReached
from local_sagemaker.limits import Limits


class Endpoint:
    """Lives on one event loop. `start` it, then `close` it, whatever came of the start."""

    def __init__(
        self, definition: EndpointDefinition, *, folder: Path, client: httpx.AsyncClient, limits: Limits
    ) -> None:
        self.definition = definition
        self._client = client
        self._limits = limits
        self._folder = folder / definition.name
        self._rng = random.Random()  # noqa: S311  chooses instances, no secrets
        self.fleets = {variant.name: self._fleet(variant) for variant in definition.variants}
        self.status = "Creating"

    def _fleet(self, variant: VariantDefinition) -> Fleet:
        def create(name: str) -> Instance:
            folder = self._folder / variant.name / name
            return Instance(name, variant.model, folder=folder, client=self._client, limits=self._limits)

        return Fleet(variant, create, limits=self._limits, rng=self._rng)

    async def start(self) -> None:
        """Every instance of every variant. Raises `ContainerFailed`; the endpoint's status is Failed then."""
        try:
            for fleet in self.fleets.values():
                await fleet.start()
        except BaseException:
            self.status = "Failed"
            raise
        self.status = "InService"

    async def close(self) -> None:
        """End every instance."""
        self.status = "Deleting"
        for fleet in self.fleets.values():
            await fleet.close()

    async def invoke(self, call: Call, body: bytes, *, invoker: Invoker | None = None) -> tuple[Answer, str]:
        """The containers' answer, and the variant that gave it. Raises `ApiError`."""
        invoker = invoker or self.invoker()
        fleet = self._fleet_for(call)
        missed: list[Instance] = []
        while True:
            instance = fleet.choose(other_than=missed)
            with instance.occupied():
                try:
                    return await invoker.invoke(instance, call, body), fleet.variant.name
                except NotReached:
                    missed.append(instance)

    @asynccontextmanager
    async def stream(self, call: Call, body: bytes) -> AsyncIterator[tuple[httpx.Response, str]]:
        """The last container's answer, its body unread, and the variant. Raises `ApiError`."""
        invoker = replace(self.invoker(), timeout_s=self._limits.stream_s)
        fleet = self._fleet_for(call)
        instance = fleet.choose()
        with instance.occupied():
            try:
                async with invoker.stream(instance, call, body) as response:
                    yield response, fleet.variant.name
            except NotReached as error:
                raise ServiceUnavailable(f"{instance.name} took no connection: {error}") from error

    def invoker(self) -> Invoker:
        """What sends requests of this endpoint, under the limits of InvokeEndpoint."""
        group = f"/aws/sagemaker/Endpoints/{self.definition.name}"
        limits = self._limits
        return Invoker(self._client, limits, group, max_bytes=limits.body_bytes, timeout_s=limits.invocation_s)

    def _fleet_for(self, call: Call) -> Fleet:
        check_headers(call)
        if call.target_variant is not None:
            if call.target_variant not in self.fleets:
                raise ValidationError(
                    f"TargetVariant: expected one of {', '.join(self.fleets)}, got {call.target_variant}"
                )
            return self.fleets[call.target_variant]
        fleets = list(self.fleets.values())
        weights = [fleet.variant.weight for fleet in fleets]
        return self._rng.choices(fleets, weights if any(weights) else None)[0]


def check_headers(call: Call) -> None:
    """Refuse header values that are longer than the API allows."""
    for name, limit in MAX_CHARS.items():
        if len(value := call.headers.get(name, "")) > limit:
            raise ValidationError(f"{name}: expected at most {limit} characters, got {len(value)}")
