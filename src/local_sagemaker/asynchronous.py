"""InvokeEndpointAsync: requests wait in a queue, and their answers, or failures, become objects. Knows no HTTP."""

import asyncio
import logging
import posixpath
import uuid
from dataclasses import dataclass, replace

from local_sagemaker import storage
from local_sagemaker.definitions import AsyncDefinition
from local_sagemaker.endpoint import Endpoint
from local_sagemaker.errors import ApiError, StorageFailed
from local_sagemaker.headers import Call
from local_sagemaker.limits import Limits

logger = logging.getLogger("local_sagemaker")


@dataclass(frozen=True, slots=True)
class AsyncRequest:
    """One accepted request. `body` is None when it lies at `input_location`."""

    call: Call
    inference_id: str
    input_location: str | None
    body: bytes | None
    output_location: str
    failure_location: str | None
    timeout_s: float


class AsyncQueue:
    """Lives on one event loop. Objects: `<S3OutputPath>/<id>.out`, `<S3FailurePath>/<id>-error.out`.

    What is waiting when it is closed is lost; the platform would keep it.
    """

    def __init__(self, endpoint: Endpoint, definition: AsyncDefinition, limits: Limits) -> None:
        self._endpoint = endpoint
        self._definition = definition
        self._limits = limits
        self._queue: asyncio.Queue[AsyncRequest] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work on what is put in, as many requests side by side as the instances take together."""
        each = self._definition.concurrency or self._limits.async_concurrency
        count = each * sum(variant.instances for variant in self._endpoint.definition.variants)
        self._workers = [asyncio.create_task(self._work()) for _ in range(count)]

    def put(
        self,
        call: Call,
        *,
        inference_id: str | None,
        input_location: str | None,
        body: bytes | None,
        timeout_s: float | None,
    ) -> AsyncRequest:
        """The accepted request; it is worked on later."""
        key = str(uuid.uuid4())
        failure = self._definition.failure_path
        request = AsyncRequest(
            call=call,
            inference_id=inference_id or key,
            input_location=input_location,
            body=body,
            output_location=_join(self._definition.output_path, f"{key}.out"),
            failure_location=None if failure is None else _join(failure, f"{key}-error.out"),
            timeout_s=timeout_s or self._limits.async_timeout_s,
        )
        self._queue.put_nowait(request)
        return request

    async def close(self) -> None:
        """Stop; what is under way is given up."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            request = await self._queue.get()
            try:
                await self._answer(request)
            except (ApiError, StorageFailed) as error:
                await self._fail(request, str(error))

    async def _answer(self, request: AsyncRequest) -> None:
        body = request.body
        if body is None:
            body = await asyncio.to_thread(storage.read_object, request.input_location or "")
        invoker = replace(
            self._endpoint.invoker(),
            max_bytes=self._limits.async_bytes,
            timeout_s=request.timeout_s,
            needs_content_length=True,
        )
        answer, _ = await self._endpoint.invoke(request.call, body, invoker=invoker)
        await asyncio.to_thread(storage.write_object, request.output_location, answer.body)

    async def _fail(self, request: AsyncRequest, message: str) -> None:
        logger.warning("asynchronous inference %s failed: %s", request.inference_id, message)
        if request.failure_location is None:
            return
        try:
            await asyncio.to_thread(storage.write_object, request.failure_location, message.encode())
        except StorageFailed as error:
            logger.warning("asynchronous inference %s: %s", request.inference_id, error)


def _join(prefix: str, name: str) -> str:
    return posixpath.join(prefix, name)
