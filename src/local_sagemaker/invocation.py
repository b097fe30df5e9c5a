"""One request through the containers of one instance: alone, in a row, or at the one that is named.

Knows hops, their limits and what their failures are called; nothing of routing between instances.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from local_sagemaker.container import Container
from local_sagemaker.errors import ModelError, ValidationError
from local_sagemaker.headers import Call, for_container, size_bytes
from local_sagemaker.instance import Instance
from local_sagemaker.limits import Limits
from local_sagemaker.multi_model import LoadedModels, LoadRefused

_UNKNOWN, _FULL = 404, 507
_MAX_QUOTED_CHARS = 2000
_CHUNK_BYTES = 64 * 1024


class NotReached(Exception):
    """The container took no connection, so nothing was sent: another instance may be asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A container's 2xx answer, read whole. Header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Invoker:
    """Sends requests through an instance's containers. `max_bytes` bounds what the last one may answer.

    `is_chunked` sends bodies without a Content-Length.
    """

    client: httpx.AsyncClient
    limits: Limits
    log_group: str
    max_bytes: int
    timeout_s: float
    needs_content_length: bool = False
    is_chunked: bool = False

    async def invoke(self, instance: Instance, call: Call, body: bytes) -> Answer:
        """The last container's answer. Raises `ApiError`, and `NotReached` when not even the first one was reached."""
        *before, last = targets(instance, call)
        async with self._in_time(instance, last):
            body, content_type = await self._pass_on(instance, before, last, call, body)
            async with self._asked(instance, last, call, body, content_type, is_first=not before) as response:
                return await self._read_answer(instance, last, response)

    @asynccontextmanager
    async def stream(self, instance: Instance, call: Call, body: bytes) -> AsyncIterator[httpx.Response]:
        """The last container's answer, its body unread. Raises as `invoke` does, before the first byte."""
        *before, last = targets(instance, call)
        async with self._in_time(instance, last):
            body, content_type = await self._pass_on(instance, before, last, call, body)
            async with self._asked(instance, last, call, body, content_type, is_first=not before) as response:
                self._check_headers(instance, last, response)
                yield response

    async def _pass_on(
        self, instance: Instance, before: list[Container], last: Container, call: Call, body: bytes
    ) -> tuple[bytes, str | None]:
        """Body and type for the last container: each one before it answers with the request of the next."""
        content_type: str | None = None
        for index, container in enumerate(before):
            async with self._asked(
                instance, container, call, body, content_type, is_first=index == 0, is_last=False
            ) as (response):
                body = await response.aread()
            content_type = response.headers.get("content-type")
            follower = (*before, last)[index + 1]
            if len(body) > self.limits.hop_bytes:
                raise self.error(
                    instance,
                    container,
                    status=response.status_code,
                    message=f"Received response from {container.hostname} with status code {response.status_code}. "
                    f"However, the request payload from {container.hostname} to {follower.hostname} is {len(body)} "
                    f"bytes, which has exceeded the maximum limit of {self.limits.hop_bytes} bytes.",
                )
        return body, content_type

    @asynccontextmanager
    async def _asked(
        self,
        instance: Instance,
        container: Container,
        call: Call,
        body: bytes,
        content_type: str | None,
        *,
        is_first: bool,
        is_last: bool = True,
    ) -> AsyncIterator[httpx.Response]:
        """A 2xx answer of one container, its body unread."""
        models = instance.loaded_models.get(container.hostname)
        headers = for_container(
            call, content_type=content_type, is_first=is_first, is_last=is_last, is_multi_model=models is not None
        )
        async with AsyncExitStack() as stack:
            if models is None:
                response = await self._post(stack, instance, container, "/invocations", headers, body)
            else:
                response = await self._post_to_model(stack, instance, container, models, call, headers, body)
            if not response.is_success:
                said = (await response.aread()).decode(errors="replace")
                raise self._refused(instance, container, response.status_code, said)
            yield response

    async def _post_to_model(
        self,
        stack: AsyncExitStack,
        instance: Instance,
        container: Container,
        models: LoadedModels,
        call: Call,
        headers: Mapping[str, str],
        body: bytes,
    ) -> httpx.Response:
        """Loads the model first. A 404 loads it again, a 507 unloads another one; either once."""
        target_model = call.target_model or ""
        for attempt in (1, 2):
            lease = AsyncExitStack()
            try:
                name = await lease.enter_async_context(models.leased(target_model))
                path = f"/models/{quote(name)}/invoke"
                response = await self._post(lease, instance, container, path, headers, body)
            except LoadRefused as error:
                raise self._refused(instance, container, error.status, str(error)) from error
            except BaseException:
                await lease.aclose()
                raise
            is_last_attempt = attempt == 2
            if is_last_attempt or not await self._is_curable(models, target_model, response.status_code):
                await stack.enter_async_context(lease)
                return response
            await lease.aclose()
        raise AssertionError("unreachable: the second attempt returns")

    async def _is_curable(self, models: LoadedModels, target_model: str, status: int) -> bool:
        if status == _UNKNOWN:
            models.forget(target_model)
            return True
        return status == _FULL and await models.make_room()

    async def _post(
        self,
        stack: AsyncExitStack,
        instance: Instance,
        container: Container,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> httpx.Response:
        timeout = httpx.Timeout(None, connect=self.limits.invocation_s)
        content = _in_chunks(body) if self.is_chunked else body
        request = self.client.stream(
            "POST", container.url + path, content=content, headers=dict(headers), timeout=timeout
        )
        try:
            return await stack.enter_async_context(request)
        except httpx.ConnectError as error:
            raise NotReached(repr(error)) from error
        except httpx.HTTPError as error:
            raise self._broken(instance, container, error) from error

    async def _read_answer(self, instance: Instance, container: Container, response: httpx.Response) -> Answer:
        self._check_headers(instance, container, response)
        if self.needs_content_length and "content-length" not in response.headers:
            message = (
                f"The response from container {container.hostname} did not specify the required Content-Length header"
            )
            raise self.error(instance, container, status=response.status_code, message=message)
        try:
            body = await response.aread()
        except httpx.HTTPError as error:
            raise self._broken(instance, container, error) from error
        if len(body) > self.max_bytes:
            message = (
                f"The response of container {container.hostname} has {len(body)} bytes, at most {self.max_bytes} pass"
            )
            raise self.error(instance, container, status=response.status_code, message=message)
        return Answer(response.status_code, dict(response.headers), body)

    def _check_headers(self, instance: Instance, container: Container, response: httpx.Response) -> None:
        if size_bytes(response.headers) > self.limits.response_header_bytes:
            message = (
                f"Response received from the {container.hostname} container has headers with length greater than "
                f"{self.limits.response_header_bytes} bytes"
            )
            raise self.error(instance, container, status=response.status_code, message=message)

    @asynccontextmanager
    async def _in_time(self, instance: Instance, container: Container) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.timeout_s):
                yield
        except TimeoutError:
            message = f"Your invocation timed out while waiting for a response from container {container.hostname}."
            raise self._refused(instance, container, 0, message) from None

    def _refused(self, instance: Instance, container: Container, status: int, said: str) -> ModelError:
        kind = "client" if 400 <= status < 500 else "server"
        quoted = said[:_MAX_QUOTED_CHARS]
        message = f'Received {kind} error ({status}) from {container.hostname} with message "{quoted}".'
        return self.error(instance, container, status=status, message=message, said=said)

    def _broken(self, instance: Instance, container: Container, error: httpx.HTTPError) -> ModelError:
        return self._refused(instance, container, 0, f"The connection to the container broke: {error!r}")

    def error(
        self, instance: Instance, container: Container, *, status: int, message: str, said: str | None = None
    ) -> ModelError:
        """The `ModelError` for a failure of `container`; its log stream's name ends with the container's own log."""
        stream = f"arn:aws:logs:local:000000000000:log-group:{self.log_group}:{instance.name}/{container.hostname}"
        return ModelError(
            f"{message} See {container.log} for more information.",
            original_status=status,
            original_message=message if said is None else said,
            log_stream=stream,
        )


async def _in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _CHUNK_BYTES):
        yield body[start : start + _CHUNK_BYTES]


def targets(instance: Instance, call: Call) -> list[Container]:
    """The containers that a call passes, in order. Raises `ValidationError` for a target that this model has not."""
    model, wanted = instance.model, call.target_container
    if call.target_model is not None and not model.is_multi_model:
        raise ValidationError(
            "TargetModel: this endpoint is not a multi-model endpoint; expected no target model header"
        )
    if model.is_direct:
        named = [container for container in instance.containers if container.hostname == wanted]
        if not named:
            names = ", ".join(container.hostname for container in instance.containers)
            raise ValidationError(f"TargetContainerHostname: expected one of {names}, got {wanted or 'none'}")
    elif wanted is not None:
        raise ValidationError(
            "TargetContainerHostname: expected none, as the model's InferenceExecutionConfig is Serial"
        )
    chosen = named if model.is_direct else instance.containers
    if call.target_model is None and any(container.hostname in instance.loaded_models for container in chosen):
        raise ValidationError(
            "TargetModel: this is a multi-model endpoint, and the request is missing a target model header"
        )
    return list(chosen)
