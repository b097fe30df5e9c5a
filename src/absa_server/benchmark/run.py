"""A whole benchmark: server (started here, or not), generator, cells, document. Puts the package's parts together."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from absa_server.benchmark.cells import Cell, summarise
from absa_server.benchmark.document import to_document
from absa_server.benchmark.generator import Generator
from absa_server.benchmark.load import Job, Trace
from absa_server.benchmark.process_tree import Memory, ProcessWatch, Usage
from absa_server.benchmark.server import check_answer, started_server
from absa_server.benchmark.session import Knee, Observer, Plan, Session
from absa_server.benchmark.texts import build_requests


@dataclass(frozen=True, slots=True)
class Result:
    """All that was measured. `document` is what is written as JSON."""

    cells: Sequence[Cell]
    knees: Sequence[Knee]
    memory: Memory | None
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Server:
    """What is measured: `command` to start first (None: it runs already, as `pid` if that is known)."""

    command: Sequence[str] | None
    pid: int | None
    log: Path


def run_benchmark(
    plan: Plan, texts: Sequence[str], *, server: Server, observer: Observer, safety_factor: float, label: str
) -> Result:
    """Measure everything that `plan` asks for. Raises `BenchmarkError`; what was started is stopped either way."""
    requests = build_requests(plan.target, texts, texts_per_request=plan.texts_per_request)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    with _watched(server, plan) as watch, Generator(requests) as generator:
        check_answer(plan.target, requests[0])

        def to_cell(job: Job, trace: Trace, purpose: str, usage: Usage | None) -> Cell:
            return summarise(job, trace, purpose=purpose, texts_per_request=plan.texts_per_request, usage=usage)

        session = Session(plan=plan, run=generator.run, summarise=to_cell, watch=watch, observer=observer)
        knees = session.measure()
        memory = watch.memory() if watch else None
    document = to_document(
        plan, session.cells, knees, safety_factor=safety_factor, memory=memory, when=when, label=label
    )
    return Result(cells=session.cells, knees=knees, memory=memory, document=document)


@contextmanager
def _watched(server: Server, plan: Plan) -> Iterator[ProcessWatch | None]:
    with ExitStack() as stack:
        pid = server.pid
        if server.command is not None:
            pid = stack.enter_context(started_server(server.command, target=plan.target, log=server.log))
        yield stack.enter_context(ProcessWatch(pid)) if pid is not None else None
