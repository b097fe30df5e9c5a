"""The announcement of a ready server, against a server that is ready, one that is not, and none."""

import json
import shlex
import subprocess
import sys

from absa_server.commands.announce import announce, example_request, is_ready

from .conftest import environment, free_port
from .scripted_server import GOOD, answering


def test_example_request_is_a_command_a_shell_understands():
    """Parsed by a shell, the command's last word is the JSON body, apostrophes and all."""
    words = shlex.split(example_request("http://127.0.0.1:8080"))
    assert words[2] == "http://127.0.0.1:8080/invocations"
    assert set(json.loads(words[-1])) == {"text"}


def test_is_ready_follows_the_status_of_ping():
    """Only 200 is ready: 503, or no server at all, is not."""
    with answering({"/ping": (200, b"")}) as address:
        assert is_ready(f"http://{address}")
    with answering({"/ping": (503, b"")}) as address:
        assert not is_ready(f"http://{address}")
    assert not is_ready(f"http://127.0.0.1:{free_port()}")


def test_announce_says_what_to_try_once_the_server_is_ready():
    """One message, with the command."""
    said: list[str] = []
    with answering(GOOD) as address:
        announce(f"http://{address}", is_server_alive=lambda: True, say=said.append)
    assert len(said) == 1
    assert f"curl -s http://{address}/invocations" in said[0]


def test_announce_ends_without_a_word_when_the_server_has_died():
    """The server's own log has told why."""
    said: list[str] = []
    announce(f"http://127.0.0.1:{free_port()}", is_server_alive=lambda: False, say=said.append)
    assert said == []


def test_announcing_process_ends_with_the_process_that_started_it():
    """Nothing is left behind on the machine when the server ends before it was ready."""
    url = f"http://127.0.0.1:{free_port()}"
    starter = (
        "import subprocess, sys; "
        f"print(subprocess.Popen([sys.executable, '-m', 'absa_server.commands.announce', {url!r}]).pid, flush=True)"
    )
    # The announcer inherits the starter's stdout: reading it to its end waits for both.
    output = subprocess.check_output([sys.executable, "-c", starter], env=environment(), timeout=30)
    assert output.strip().isdigit()
