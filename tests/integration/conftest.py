"""Fixtures of the tests that ask a real server process."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.integration.server_process import ServerProcess

StartServer = Callable[..., AbstractContextManager[ServerProcess]]


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> StartServer:
    """`with start_server(model_dir, environment) as server`: a server that is ready, stopped with exit code 0 after it.

    `is_awaited=False` yields it just started instead. `model_dir` None leaves `ABSA_MODEL_DIR` unset. A test that
    expects another end waits for it inside the block (`wait_for_exit`) and leaves nothing to stop.
    """

    @contextmanager
    def start(
        model_dir: Path | None, environment: Mapping[str, str] | None = None, *, is_awaited: bool = True
    ) -> Iterator[ServerProcess]:
        models = {} if model_dir is None else {"ABSA_MODEL_DIR": str(model_dir)}
        log = tmp_path_factory.mktemp("server") / "server.log"
        with ServerProcess(models | dict(environment or {}), log=log) as server:
            if is_awaited:
                server.wait_until_ready()
            yield server

    return start


@pytest.fixture(scope="session")
def server(start_server: StartServer, tiny_models: Path) -> Iterator[ServerProcess]:
    """One server for the whole session, ready with the tiny models; tests leave it as they found it."""
    with start_server(tiny_models) as ready:
        yield ready
