"""`absa smoke`: passes a good server, and names what is wrong with any other."""

import pytest
from typer.testing import CliRunner

from absa_server.cli import app

from .scripted_server import GOOD, answering

WRONG = {
    "ping with a body": ({"/ping": (200, b"Healthy!")}, "empty body"),
    "no execution parameters": ({"/execution-parameters": (200, b"{}")}, "MaxPayloadInMB"),
    "refused invocation": ({"/invocations": (400, b'{"message": "no"}')}, "expected 200, got 400"),
    "answer that is not JSON": ({"/invocations": (200, b"<html>")}, "expected a JSON body"),
    "offsets beside the term": (
        {"/invocations": (200, b'{"aspects": [{"term": "pasta", "start": 5, "end": 10}]}')},
        "offsets",
    ),
}


def smoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["smoke", *arguments], env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_smoke_passes_a_good_server():
    """Exit code 0, and the aspects in a table."""
    with answering(GOOD) as address:
        code, output = smoke("--url", f"http://{address}")
    assert code == 0, output
    assert "pasta" in output
    assert "positive" in output


@pytest.mark.parametrize(("answers", "named"), WRONG.values(), ids=WRONG)
def test_smoke_fails_and_names_what_is_wrong(answers, named):
    """Exit code 1, and a message that says what was expected."""
    with answering(GOOD | answers) as address:
        code, output = smoke("--url", f"http://{address}")
    assert code == 1
    assert named in output


def test_smoke_passes_the_real_server(start_server, tiny_models):
    """What `absa smoke` asks is what the server does."""
    server = start_server(ABSA_MODEL_DIR=str(tiny_models))
    server.wait_until_ready()
    code, output = smoke("--url", f"http://{server.address}")
    assert code == 0, output


def test_smoke_of_an_image_without_docker_says_so(monkeypatch, tmp_path):
    """Where no docker command is found, the message says that one is needed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    code, output = smoke("--image", "absa-server", "--model-dir", str(tmp_path))
    assert code == 1
    assert "install a docker engine" in output


@pytest.mark.parametrize(
    "arguments", [[], ["--image", "absa-server"], ["--url", "http://127.0.0.1:1", "--image", "absa-server"]]
)
def test_smoke_without_exactly_one_target_is_a_usage_error(arguments):
    """A server or an image with models: neither, half of one and both are refused with exit code 2."""
    code, output = smoke(*arguments)
    assert code == 2
    assert "--url" in output
