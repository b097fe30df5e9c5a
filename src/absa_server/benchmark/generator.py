"""The load generator as a process of its own, fed with jobs one by one. Knows processes, and nothing of load.

Of its own, so that neither progress bars nor the watching of /proc delay a request. It runs at the normal priority:
below it, a busy server would delay the sending, and above it, it would take from the server what no client outside
could. What it uses is reported with every cell.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType

from absa_server.benchmark.errors import GeneratorFailed
from absa_server.benchmark.load import Job, Trace, run_job


class Generator:
    """Runs one job at a time; leaving the `with` block ends its process."""

    def __init__(self, requests: list[bytes]) -> None:
        self._requests = requests
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    def __enter__(self) -> "Generator":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, job: Job) -> Trace:
        """The trace of `job`. Raises `GeneratorFailed` when the process died."""
        try:
            return self._pool.submit(run_job, job, self._requests).result()
        except BrokenProcessPool as error:
            raise GeneratorFailed(f"the load generator's process ended in the middle of a cell ({error})") from None
