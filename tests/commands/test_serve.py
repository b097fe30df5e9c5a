"""`absa serve`: its options, and what it says before gunicorn takes over."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

from .conftest import environment, free_port

ABSA = str(Path(sys.executable).parent / "absa")


def serve(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [ABSA, "serve", *arguments]
    return subprocess.run(
        command, env=environment(**variables), capture_output=True, text=True, timeout=60, check=False
    )


def test_options_win_over_the_environment(start_server, tiny_models, tmp_path):
    """--model-dir is what is served; --announce prints the command to try there; SIGTERM ends it with 0."""
    server = start_server(
        ABSA, "serve", "--model-dir", str(tiny_models), "--announce", ABSA_MODEL_DIR=str(tmp_path / "elsewhere")
    )
    server.wait_for_log(f"curl -s http://{server.address}/invocations")
    code, _ = server.stop(signal.SIGTERM)
    assert code == 0


def test_taken_port_is_reported_at_once():
    """One line that names the port and the option to change it, and exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ended = serve("--port", str(port))
    assert ended.returncode == 1
    assert f"Port {port}" in ended.stderr
    assert "--port" in ended.stderr


def test_bad_configuration_ends_with_code_2():
    """`absa serve` refuses what the container refuses, in the same words."""
    ended = serve("--port", str(free_port()), ABSA_ENGINE="abacus")
    assert ended.returncode == 2
    assert "ABSA_ENGINE='abacus'" in ended.stderr


def test_missing_model_folder_is_a_usage_error(tmp_path):
    """A --model-dir that does not exist is refused before anything starts."""
    assert serve("--model-dir", str(tmp_path / "none")).returncode == 2
