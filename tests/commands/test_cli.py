"""The command line as its user meets it: help, quickly, and doors that lead to the same commands."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, environment

ABSA = str(Path(sys.executable).parent / "absa")
COMMANDS = [
    *("bench", "deploy", "destroy", "doctor", "invoke", "package-model", "plan", "push-image", "rollback", "serve"),
    *("smoke", "status", "train-demo", "update", "upload-model"),
]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)


def test_help_lists_every_command():
    """`absa --help` names each command."""
    shown = run(ABSA, "--help")
    assert shown.returncode == 0, shown.stderr
    assert [command for command in COMMANDS if command not in shown.stdout] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_shows_an_example(command):
    """`absa COMMAND --help` tells its options, and at least one whole command line to copy."""
    shown = run(ABSA, command, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"absa {command} --" in shown.stdout


@pytest.mark.parametrize("door", [name.replace("-", "_") for name in COMMANDS if name != "serve"])
def test_script_is_a_door_to_the_command(door):
    """`scripts/X.py --help` is the help of `absa X`."""
    shown = run(sys.executable, str(ROOT / "scripts" / f"{door}.py"), "--help")
    assert shown.returncode == 0, shown.stderr
    assert door.replace("_", "-") in shown.stdout


def test_help_does_not_import_torch():
    """What answers at once must not load the frameworks."""
    code = (
        "import sys, absa_server.cli; "
        "print([name for name in ('torch', 'transformers', 'tokenizers', 'fastapi', 'boto3') if name in sys.modules])"
    )
    assert run(sys.executable, "-c", code).stdout.strip() == "[]"
