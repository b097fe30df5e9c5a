"""docs/deploy.md, line by line: offline blocks in a shell without an account, played ones on one in this process."""

import os
import re
import shlex
import subprocess

import pytest
from typer.testing import CliRunner

from absa_server.cli import app
from tests.cloud.conftest import stage
from tests.cloud.scenes import FIRST

from .conftest import ROOT, environment

__all__ = ["stage"]
TEXT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- (offline|played) -->\n)?```sh\n(.*?)```", re.DOTALL)
BLOCKS = [(match[1], match[2]) for match in BLOCK.finditer(TEXT)]
OFFLINE = [body for mark, body in BLOCKS if mark == "offline"]
PLAYED = [shlex.split(line) for mark, body in BLOCKS if mark == "played" for line in body.splitlines()]


def test_document_has_what_is_tested_here():
    """The marks are there; a block that loses its mark is noticed."""
    assert len(OFFLINE) == 1
    assert [line[1] for line in PLAYED] == [
        *("deploy", "deploy", "deploy", "update", "update", "rollback", "rollback", "destroy", "destroy")
    ]


@pytest.mark.parametrize("block", OFFLINE)
def test_offline_blocks_run_without_an_account(block, tmp_path):
    """As a new user would paste them, in a checkout, with no credentials and no docker anywhere."""
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    clean = {name: value for name, value in environment().items() if not name.startswith(("AWS_", "DOCKER_"))}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    done = subprocess.run(
        ["bash", "-euc", block], cwd=tmp_path, env=clean | nowhere, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Nothing was changed.") == 2
    assert "docker push" in done.stdout


def test_played_lines_are_a_whole_way(stage, monkeypatch):
    """From no stack to none: every line exits with 0, in the order of the page, and says what the page shows."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("absa_server.cloud.stack_driver.POLL_S", 0.0)
    said = []
    for line in PLAYED:
        arguments = [FIRST if word == "$IMAGE" else word for word in line[1:]]
        # Moto's list of instance types ends before the template's default.
        arguments += ["--instance-type", "ml.c5.xlarge"] if "--image" in arguments else []
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
        assert result.exit_code == 0, (line, result.output)
        said.append(result.output)
    everything = "".join(said)
    for shown in ("absa-storage: created", "CREATE_COMPLETE  absa-endpoint  Endpoint (AWS::SageMaker::Endpoint)"):
        assert shown in TEXT
        assert shown in everything
    assert "endpoint.EndpointName  absa" in everything
    assert stage.service.describe(None) == []


def test_every_option_of_the_page_exists():
    """In blocks that need an account, too: no option that the commands do not have."""
    for _, body in BLOCKS:
        for line in body.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["absa"] and words[1] not in {"invoke", "status", "doctor"}:
                shown = CliRunner().invoke(app, [words[1], "--help"], env={"COLUMNS": "200"}).output
                assert [word for word in words if word.startswith("--") and word not in shown] == [], line
