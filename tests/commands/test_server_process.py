"""The process that the container starts: configuration, signals, crashes, log. Real gunicorn, real models."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from absa_server.commands import server_checks
from absa_server.commands.server_checks import HeldRequest
from absa_server.settings import variable_names

from .conftest import SERVE, STOP_LIMIT_S, environment, free_port

# One bad value on each side of every bound, and one of every wrong kind.
BAD = {
    "ABSA_HOST": [],  # any text: whether it can be bound is the operating system's to say
    "ABSA_MODEL_DIR": [],  # a folder that is not there is a model that fails to load: the server runs, and tells
    "SAGEMAKER_BASE_DIR": [],
    "SAGEMAKER_BIND_TO_PORT": ["0", "65536", "http"],
    "SAGEMAKER_MULTI_MODEL": ["maybe"],
    "SAGEMAKER_CONTAINER_LOG_LEVEL": ["LOUD", "15"],
    "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": ["text/html"],
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": ["-1", "1025", "many"],
    "ABSA_MAX_RECORDS": ["0"],
    "ABSA_MAX_TEXT_CHARS": ["0"],
    "ABSA_MAX_ASPECTS": ["0"],
    "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": ["0", "3601"],
    "SAGEMAKER_MODEL_SERVER_TIMEOUT": ["0", "3601"],
    "ABSA_MAX_PENDING_REQUESTS": ["0"],
    "ABSA_PRECISION": ["fp16"],
    "ABSA_CACHE_DIR": [],  # where it cannot be written, networks are made for once, and the log tells
    "ABSA_COMPILE_MEMORY_MB": ["255"],
    "ABSA_COMPILE_TIMEOUT_S": ["0", "3601"],
    "ABSA_INFERENCE_THREADS": ["-1", "65"],
    "ABSA_ENGINE_THREADS": ["-1", "257"],
    "ABSA_BATCH_TOKENS": ["63", "-1"],
    "ABSA_RESULT_CACHE_MB": ["-1", "65537"],
    "ABSA_ENGINE": ["abacus"],
    "SAGEMAKER_BATCH": ["maybe"],
    "ABSA_RESULTS_S3_URI": ["results", "s3://", "s3://A_B/x", "https://bucket/x"],
    "ABSA_RESULTS_SPOOL_DIR": [],
    "ABSA_RESULTS_SPOOL_MB": ["0"],
    "ABSA_RESULTS_REQUIRED": ["maybe"],
    "ABSA_RESULTS_INPUT": ["summary"],
    "ABSA_USER_CODE": ["maybe"],
    "ABSA_MEMORY_BUDGET_MB": ["-1"],
    "ABSA_LOAD_THREADS": ["0", "65"],
    "ABSA_SELF_TEST": ["maybe"],
    "ABSA_MODEL_STORE": ["bucket/models", "s3://", "s3://A_B/x", "https://bucket/x", "file:///models"],
    "ABSA_DEFAULT_MODEL": ["/a", "a/../b", ".", "a//b", "a\\b", "x" * 1025],
    "ABSA_MODEL_TTL_S": ["0", "86401"],
    "ABSA_DISK_BUDGET_MB": ["-1"],
    "ABSA_EMF_INTERVAL_S": ["-1", "3601", "0.5"],
    "ABSA_EMF_NAMESPACE": ["AWS/Mine", "a b", "x" * 256],
    "ABSA_EMF_DIMENSIONS": ["Endpoint", "A=1,A=2", "A=x y", "A=:x", ",".join(f"D{n}=1" for n in range(9))],
    "ABSA_METRICS_MODELS": ["-1", "1001"],
}
LOWEST = {
    "SAGEMAKER_BIND_TO_PORT": "1",
    "SAGEMAKER_MULTI_MODEL": "false",
    "SAGEMAKER_CONTAINER_LOG_LEVEL": "10",
    "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "application/json",
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0",
    "ABSA_MAX_RECORDS": "1",
    "ABSA_MAX_TEXT_CHARS": "1",
    "ABSA_MAX_ASPECTS": "1",
    "SAGEMAKER_MODEL_SERVER_TIMEOUT": "0.001",
    "ABSA_MAX_PENDING_REQUESTS": "1",
    "ABSA_PRECISION": "f32",
    "ABSA_COMPILE_MEMORY_MB": "256",
    "ABSA_COMPILE_TIMEOUT_S": "0.001",
    "ABSA_INFERENCE_THREADS": "0",
    "ABSA_ENGINE_THREADS": "0",
    "ABSA_BATCH_TOKENS": "0",
    "ABSA_RESULT_CACHE_MB": "0",
    "ABSA_ENGINE": "torch",
    "SAGEMAKER_BATCH": "true",
    "ABSA_RESULTS_SPOOL_MB": "1",
    "ABSA_USER_CODE": "true",
    "ABSA_MEMORY_BUDGET_MB": "0",
    "ABSA_LOAD_THREADS": "1",
    "ABSA_SELF_TEST": "false",
    "ABSA_MODEL_STORE": "/",
    "ABSA_DEFAULT_MODEL": "a",
    "ABSA_MODEL_TTL_S": "0.001",
    "ABSA_DISK_BUDGET_MB": "0",
    "ABSA_EMF_INTERVAL_S": "0",
    "ABSA_EMF_NAMESPACE": "A",
    "ABSA_EMF_DIMENSIONS": "A=1",
    "ABSA_METRICS_MODELS": "0",
}
HIGHEST = {
    "SAGEMAKER_BIND_TO_PORT": "65535",
    "SAGEMAKER_MULTI_MODEL": "true",
    "SAGEMAKER_CONTAINER_LOG_LEVEL": "CRITICAL",
    "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv",
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1024",
    "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "3600",
    "ABSA_INFERENCE_THREADS": "64",
    "ABSA_PRECISION": "int8",
    "ABSA_COMPILE_TIMEOUT_S": "3600",
    "ABSA_ENGINE_THREADS": "256",
    "ABSA_RESULT_CACHE_MB": "65536",
    "ABSA_ENGINE": "auto",
    "ABSA_LOAD_THREADS": "64",
    "ABSA_SELF_TEST": "true",
    "ABSA_EMF_INTERVAL_S": "3600",
    "ABSA_EMF_NAMESPACE": "x" * 255,
    "ABSA_EMF_DIMENSIONS": ",".join(f"D{n}={'v' * 255}" for n in range(8)),
    "ABSA_METRICS_MODELS": "1000",
}


def start_to_end(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SERVE], env=environment(**variables), capture_output=True, text=True, timeout=60, check=False
    )


def test_bad_values_cover_every_variable():
    """A variable that is added to the settings is added to this table."""
    assert set(BAD) == set(variable_names())


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_start_stops_at_a_bad_variable(name, value):
    """The process ends with code 2 and one line that names the variable and its value."""
    ended = start_to_end(**{name: value})
    assert ended.returncode == 2
    assert [f"{name}={value!r}" in line for line in ended.stderr.splitlines()] == [True]


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        (
            {"ABSA_MODEL_STORE": "/models", "SAGEMAKER_MULTI_MODEL": "true"},
            ["ABSA_MODEL_STORE", "SAGEMAKER_MULTI_MODEL"],
        ),
        ({"ABSA_MODEL_STORE": "s3://bucket", "ABSA_MODEL_DIR": "/model"}, ["ABSA_MODEL_STORE", "ABSA_MODEL_DIR"]),
        ({"ABSA_DEFAULT_MODEL": "a.tar.gz"}, ["ABSA_DEFAULT_MODEL", "ABSA_MODEL_STORE"]),
    ],
)
def test_start_stops_at_a_contradiction(variables, named):
    """Two ways to models at a time, or a default model of no store: one line that names the variables, exit code 2."""
    ended = start_to_end(**variables)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert all(name in line for name in named)


def test_start_stops_at_an_unknown_variable_of_ours():
    """A misspelt ABSA_ variable is refused, with the name that was probably meant."""
    ended = start_to_end(ABSA_MAX_TEXTS_CHARS="5")
    assert ended.returncode == 2
    assert "ABSA_MAX_TEXTS_CHARS" in ended.stderr
    assert "ABSA_MAX_TEXT_CHARS?" in ended.stderr


def test_start_names_every_bad_variable_at_once():
    """Two bad variables are two lines, so that one restart is enough to repair both."""
    ended = start_to_end(ABSA_MAX_RECORDS="0", ABSA_MAX_ASPECTS="0")
    assert len(ended.stderr.splitlines()) == 2


@pytest.mark.parametrize("variables", [LOWEST, HIGHEST], ids=["lowest", "highest"])
def test_start_accepts_the_bounds(variables):
    """The lowest and the highest allowed value of every variable configure a server and its application."""
    ended = start_to_end(**variables, GUNICORN_CMD_ARGS="--check-config")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("command", [[SERVE], [SERVE, "train", "--verbose"]], ids=["plain", "unknown arguments"])
def test_request_in_flight_is_answered_after_sigterm(start_server, tiny_models, command):
    """SIGTERM lets a request that has begun end with its answer; then the process ends with code 0, in time."""
    server = start_server(*command, ABSA_MODEL_DIR=str(tiny_models))
    server.wait_until_ready()
    held = HeldRequest(server.address)
    server.process.send_signal(signal.SIGTERM)
    held.finish()
    assert server.process.wait(timeout=STOP_LIMIT_S) == 0


def test_request_that_never_ends_does_not_hold_up_the_stop(start_server, tiny_models):
    """SageMaker kills 30 s after SIGTERM: a body that never comes is given up in time for an exit code of 0."""
    server = start_server(ABSA_MODEL_DIR=str(tiny_models))
    server.wait_until_ready()
    held = HeldRequest(server.address)
    code, seconds = server.stop(signal.SIGTERM)
    held.close()
    assert code == 0
    assert seconds <= STOP_LIMIT_S


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_idle_server_stops_at_once(start_server, tmp_path, signal_name):
    """Each signal that asks for an end is obeyed within 5 s, even when only the parent process hears it."""
    server = start_server(ABSA_MODEL_DIR=str(tmp_path), SAGEMAKER_MULTI_MODEL="true")
    server.wait_until_ready()
    code, seconds = server.stop(getattr(signal, signal_name))
    assert code == 0
    assert seconds < 5


def test_server_writes_only_json_lines_to_its_log_and_no_file(start_server, tiny_models, tmp_path):
    """Every line of the log is a JSON object, from start to end; the home and the working folder stay empty."""
    home = tmp_path / "home"
    home.mkdir()
    server = start_server(ABSA_MODEL_DIR=str(tiny_models), HOME=str(home))
    server.wait_until_ready()
    server_checks.check_invocation(server.address)
    server.stop(signal.SIGTERM)
    assert all(isinstance(json.loads(line), dict) for line in server.log.read_text().splitlines())
    assert list(home.iterdir()) == []
    assert list((tmp_path / "work").iterdir()) == []


def test_worker_that_dies_is_started_again(start_server, tmp_path):
    """A worker killed from outside, as by the kernel for want of memory, is replaced by one that answers."""
    server = start_server(SAGEMAKER_MULTI_MODEL="true")
    server.wait_until_ready()
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    if not children.exists():
        pytest.skip("this kernel does not list a process's children")
    os.kill(int(children.read_text()), signal.SIGKILL)
    server.wait_until_ready()
    server_checks.check_ping(server.address)


def test_application_that_cannot_start_ends_the_server(tmp_path):
    """A failing application is not started again for ever: exit code 3."""
    (tmp_path / "broken.py").write_text("def create_app():\n    raise RuntimeError('no application')\n")
    ended = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--config", "python:absa_server.gunicorn_conf", "broken:create_app()"],
        cwd=tmp_path,
        env=environment(SAGEMAKER_BIND_TO_PORT=str(free_port())),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 3
