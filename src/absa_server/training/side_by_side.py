"""Jobs that run beside each other, each in a process of its own, and tell how far they are. Knows no training."""

import multiprocessing
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any

from absa_server.training.errors import TrainingError

Report = Callable[[str, int, int], None]
# Called with `report=`; it must be picklable.
Job = Callable[..., None]
# ("at", name, done, total), ("done", name) or ("failed", name, why).
Message = tuple[Any, ...]

_LOOK_S = 0.5


def run_side_by_side(jobs: Mapping[str, Job], report: Report) -> None:
    """Returns when all jobs are done; `report` is called here, in the caller's thread.

    Raises `TrainingError` as soon as one failed or its process died; the others are ended then.
    """
    context = multiprocessing.get_context("spawn")  # a forked torch may hold locks of threads that are not there
    messages: Queue[Message] = context.Queue()
    with ExitStack() as stack:
        running = {name: context.Process(target=_run, args=(name, job, messages)) for name, job in jobs.items()}
        for process in running.values():
            process.start()
            stack.callback(_end, process)
        while running:
            message = _next(messages)
            if message is None:
                _raise_if_any_died(running)
            elif message[0] == "failed":
                raise TrainingError(f"training the {message[1]} model failed: {message[2]}")
            elif message[0] == "done":
                running.pop(message[1]).join()
            else:
                report(*message[1:])


def _run(name: str, job: Job, messages: "Queue[Message]") -> None:
    try:
        job(report=lambda *progress: messages.put(("at", *progress)))
    except Exception as error:  # the process's outermost edge: the parent raises it
        messages.put(("failed", name, f"{type(error).__name__}: {error}"))
    else:
        messages.put(("done", name))


def _next(messages: "Queue[Message]") -> Message | None:
    try:
        return messages.get(timeout=_LOOK_S)
    except Empty:
        return None


def _raise_if_any_died(running: Mapping[str, SpawnProcess]) -> None:
    """A process that is gone without a word was killed: by the system for its memory, most often."""
    for name, process in running.items():
        if process.exitcode is not None:
            raise TrainingError(
                f"the process that trains the {name} model ended with exit code {process.exitcode}; "
                "-9 is what a system does that runs out of memory"
            )


def _end(process: SpawnProcess) -> None:
    if process.is_alive():
        process.terminate()
    process.join()
