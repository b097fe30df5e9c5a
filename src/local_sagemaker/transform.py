"""A batch transform job from its start to its objects: one instance, its execution parameters, requests, outputs.

Knows no endpoint. A request that fails by a 5xx or by its connection is sent again, a 4xx fails the job (a guess).
"""

import asyncio
import posixpath
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from local_sagemaker import storage
from local_sagemaker.errors import ApiError, ModelError, TransformFailed
from local_sagemaker.headers import Call
from local_sagemaker.hosting import container_client
from local_sagemaker.instance import Instance
from local_sagemaker.invocation import Answer, Invoker, NotReached
from local_sagemaker.joining import filtered, joined
from local_sagemaker.limits import MIB, Limits
from local_sagemaker.records import answered_lines, assembled, batches, body_of, split_lines
from local_sagemaker.transform_job import MAX_TOTAL_MB, TransformJob

_DEFAULTS: dict[str, Any] = {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}
_STRATEGY_WORDS = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}


@dataclass(frozen=True, slots=True)
class ExecutionParameters:
    """How requests are made. `max_payload_bytes` None: whole objects, in chunks."""

    max_concurrent: int
    is_multi: bool
    max_payload_bytes: int | None


async def run_transform(
    job: TransformJob,
    *,
    folder: Path,
    limits: Limits | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[str]:
    """The addresses of the objects that were written. Raises `TransformFailed`, `ContainerFailed`, `StorageFailed`.

    `on_progress` is told the number of requests that have been answered.
    """
    limits = limits or Limits()
    client = container_client()
    disk = Path(tempfile.mkdtemp(prefix=f"{job.name}-", dir=folder))
    instance = Instance(job.name, job.model, folder=disk, client=client, limits=limits, environment=_told(job))
    try:
        await instance.start(limit_s=limits.startup_s)
        parameters = await _execution_parameters(job, instance, client)
        invoker = _invoker(job, client, limits, is_chunked=parameters.max_payload_bytes is None)
        run = _Run(job, instance, parameters, invoker, on_progress)
        addresses = await asyncio.to_thread(storage.list_objects, job.input_uri)
        if not addresses:
            raise TransformFailed(f"{job.input_uri}: expected at least one object, found none")
        return [await run.transform_object(address) for address in addresses]
    finally:
        await instance.stop()
        await client.aclose()


def _told(job: TransformJob) -> dict[str, str]:
    """The variables of a container in batch transform: the last three only as far as the user chose."""
    told = dict(job.environment) | {"SAGEMAKER_BATCH": "true"}
    if job.max_payload_mb is not None:
        told["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(job.max_payload_mb)
    if job.strategy is not None:
        told["SAGEMAKER_BATCH_STRATEGY"] = _STRATEGY_WORDS[job.strategy]
    if job.max_concurrent is not None:
        told["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(job.max_concurrent)
    return told


async def _execution_parameters(
    job: TransformJob, instance: Instance, client: httpx.AsyncClient
) -> ExecutionParameters:
    """The job's own values, else the container's, else the defaults."""
    said = _DEFAULTS | await _asked(instance.containers[0].url, client)
    payload_mb = said["MaxPayloadInMB"] if job.max_payload_mb is None else job.max_payload_mb
    concurrent = job.max_concurrent or said["MaxConcurrentTransforms"]
    if payload_mb * concurrent > MAX_TOTAL_MB:
        raise TransformFailed(
            f"expected MaxConcurrentTransforms x MaxPayloadInMB of at most {MAX_TOTAL_MB}, "
            f"got {concurrent} x {payload_mb}"
        )
    strategy = said["BatchStrategy"] if job.strategy is None else _STRATEGY_WORDS[job.strategy]
    return ExecutionParameters(concurrent, strategy == "MULTI_RECORD", payload_mb * MIB or None)


async def _asked(url: str, client: httpx.AsyncClient) -> dict[str, Any]:
    """What the container answers to GET /execution-parameters; nothing, when that fails in any way."""
    try:
        answer = await client.get(f"{url}/execution-parameters")
        said = answer.json() if answer.status_code == httpx.codes.OK else {}
    except (httpx.HTTPError, ValueError):
        return {}
    return {name: said[name] for name in _DEFAULTS if name in said} if isinstance(said, dict) else {}


def _invoker(job: TransformJob, client: httpx.AsyncClient, limits: Limits, *, is_chunked: bool) -> Invoker:
    return Invoker(
        client,
        replace(limits, hop_bytes=limits.async_bytes),
        "/aws/sagemaker/TransformJobs",
        max_bytes=limits.async_bytes,
        timeout_s=job.timeout_s,
        is_chunked=is_chunked,
    )


@dataclass(frozen=True, slots=True)
class _Run:
    job: TransformJob
    instance: Instance
    parameters: ExecutionParameters
    invoker: Invoker
    on_progress: Callable[[int], None]

    async def transform_object(self, address: str) -> str:
        """The address of the output object: the input's name below the output path, and `.out`."""
        content = await asyncio.to_thread(storage.read_object, address)
        try:
            output = await self._output(content)
        except TransformFailed as error:
            raise TransformFailed(f"{address}: {error}") from error
        target = posixpath.join(self.job.output_path, _name_below(address, self.job.input_uri) + ".out")
        await asyncio.to_thread(storage.write_object, target, output)
        return target

    async def _output(self, content: bytes) -> bytes:
        if not self.job.is_split:
            return assembled(await self._answers([[content]], is_multi=False), is_by_line=self.job.is_assembled_by_line)
        parameters = self.parameters
        records = split_lines(content)
        sent = [filtered(record, self.job.input_filter, is_csv=self._is_csv) for record in records]
        work = list(batches(sent, max_bytes=parameters.max_payload_bytes, is_multi=parameters.is_multi))
        answers = await self._answers(work, is_multi=parameters.is_multi)
        if self.job.is_joined or self.job.output_filter != "$":
            answers = self._processed(records, work, answers)
        return assembled(answers, is_by_line=self.job.is_assembled_by_line)

    async def _answers(self, work: list[list[bytes]], *, is_multi: bool) -> list[bytes]:
        """One answer for each batch, in their order, some of them asked for side by side."""
        permits = asyncio.Semaphore(self.parameters.max_concurrent)
        answered = 0

        async def ask(batch: list[bytes]) -> bytes:
            nonlocal answered
            async with permits:
                answer = await self._ask(body_of(batch, is_multi=is_multi))
            answered += 1
            self.on_progress(answered)
            return answer.body

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(batch)) for batch in work]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _ask(self, body: bytes) -> Answer:
        call = Call(content_type=self.job.content_type, accept=self.job.accept, headers={})
        attempts = 0
        while True:
            attempts += 1
            try:
                return await self.invoker.invoke(self.instance, call, body)
            except NotReached as error:
                failure: Exception = error
            except ModelError as error:
                failure = error
            except ApiError as error:
                raise TransformFailed(str(error)) from error
            if attempts > self.job.max_retries or _is_final(failure):
                raise TransformFailed(f"a request failed, {attempts} times: {failure}") from failure

    def _processed(self, records: list[bytes], work: list[list[bytes]], answers: list[bytes]) -> list[bytes]:
        counted = zip(work, answers, strict=True)
        lines = [line for batch, answer in counted for line in answered_lines(answer, count=len(batch))]
        if not self.job.is_joined:
            return [filtered(line, self.job.output_filter, is_csv=self._is_csv) for line in lines]
        pairs = zip(records, lines, strict=True)
        return [joined(record, line, self.job.output_filter, is_csv=self._is_csv) for record, line in pairs]

    @property
    def _is_csv(self) -> bool:
        return (self.job.accept or self.job.content_type or "").partition(";")[0].strip().lower() == "text/csv"


def _is_final(failure: Exception) -> bool:
    return isinstance(failure, ModelError) and 400 <= failure.original_status < 500


def _name_below(address: str, prefix: str) -> str:
    """An object's name relative to the folder that the prefix names, or is in."""
    folder = prefix if prefix.endswith("/") else posixpath.dirname(prefix) + "/"
    if address.startswith(prefix + "/"):
        folder = prefix + "/"
    path = storage.local_path(folder)
    return address.removeprefix(folder if path is None else str(path).rstrip("/") + "/")
