"""One running container: a process of this machine, or the `docker run` that stands for it. Started, asked, ended.

Knows signals, /ping and its log; nothing of instances, routing or requests.
"""

import asyncio
import os
import signal
import subprocess
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path

import httpx

from local_sagemaker.definitions import ContainerDefinition
from local_sagemaker.errors import ContainerFailed
from local_sagemaker.launch import Launch
from local_sagemaker.limits import Limits

_POLL_S = 0.1
_LOG_LINES = 20


class Container:
    """Lives on one event loop. `start` it once; whoever starts it has to `stop` or `kill` it."""

    def __init__(
        self, definition: ContainerDefinition, launch: Launch, *, port: int, base_dir: Path, log: Path
    ) -> None:
        self.definition = definition
        self.launch = launch
        self.base_dir = base_dir
        self.log = log
        self.url = f"http://127.0.0.1:{port}"
        self._process: Process | None = None

    def __repr__(self) -> str:
        return f"<Container {self.definition.hostname} {self.url} pid {self.pid}>"

    @property
    def hostname(self) -> str:
        """Its name among the containers of its model."""
        return self.definition.hostname

    @property
    def pid(self) -> int | None:
        """The process that hears signals."""
        return None if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it; it is not ready then. Raises `ContainerFailed` when there is no such program."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self.launch.command,
                    env=dict(self.launch.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self.base_dir,
                    start_new_session=True,
                )
            except OSError as error:
                raise ContainerFailed(f"{self.hostname}: {self.launch.command[0]}: {error}") from error

    async def ping(self, client: httpx.AsyncClient, *, timeout_s: float) -> bool:
        """Whether `GET /ping`, and for multi-model containers `GET /models`, is 200 in time.

        The second is not documented: platform logs in pytorch/serve#397 and #1028 show both calls.
        """
        paths = ("/ping", "/models") if self.definition.is_multi_model else ("/ping",)
        try:
            async with asyncio.timeout(timeout_s):
                return all([(await client.get(self.url + path)).status_code == 200 for path in paths])
        except (httpx.HTTPError, TimeoutError):
            return False

    async def wait_until_ready(self, client: httpx.AsyncClient, limits: Limits) -> None:
        """Ask until it is ready. Raises `ContainerFailed` when it ends; the caller bounds the time."""
        while not await self.ping(client, timeout_s=limits.ping_s):
            if not self.is_running:
                raise ContainerFailed(self.explain(f"ended with exit code {await self.wait()} before it was ready"))
            await asyncio.sleep(_POLL_S)

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        if self._process is None:
            raise ContainerFailed(f"{self.hostname}: was never started")
        return await self._process.wait()

    async def stop(self, *, limit_s: float) -> None:
        """SIGTERM, and SIGKILL when it has not ended `limit_s` later."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), limit_s)
        await self.kill()

    async def kill(self) -> None:
        """End it, and all that it started, at once."""
        if self._process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        if (command := self.launch.kill_command) is not None:
            # The container is the engine's child, not ours.
            killer = await asyncio.create_subprocess_exec(
                *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            await killer.wait()

    def explain(self, what: str) -> str:
        """`what` happened, and the end of the log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
        tail = "\n".join(lines[-_LOG_LINES:])
        return f"{self.hostname}: {what}; the end of {self.log}:\n{tail}"
