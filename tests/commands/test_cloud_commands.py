"""push-image, deploy, update, rollback and destroy as typed: what they print, what they ask, how they end."""

import json
from pathlib import Path

import boto3
import pytest
from typer.testing import CliRunner

from absa_server.cli import app
from absa_server.cloud import docker
from absa_server.cloud.image_labels import LABELS
from tests.cloud.conftest import stage
from tests.cloud.scenes import FIRST, GIVEN, REGION, SECOND, Interrupted, Scene

__all__ = ["stage"]
INFRA = str(Path(__file__).parents[2] / "infra")
TYPED = [f"--set={name}={value}" for name, value in GIVEN.items()]
URI = FIRST.partition("@")[0]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """The play of CloudFormation passes its time when it is asked."""
    monkeypatch.setattr("absa_server.cloud.stack_driver.POLL_S", 0.0)


def absa(*arguments: str, answer: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), input=answer, env={"COLUMNS": "250"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, result.output


def test_way_of_an_endpoint(stage: Scene):
    """Storage, endpoint, update, list, rollback, destroy: each says what it did, and exits with 0."""
    code, said = absa("deploy", "--only", "storage", "--templates", INFRA)
    assert (code, "absa-storage: created" in said, "absa push-image" in said) == (0, True, True), said
    code, said = absa("deploy", *TYPED, "--templates", INFRA)
    assert (code, "CREATE_COMPLETE  absa-endpoint  Endpoint (AWS::SageMaker::Endpoint)" in said) == (0, True), said
    code, said = absa("update", "--image", SECOND, "--templates", INFRA)
    assert (code, "absa-endpoint: updated" in said, "absa-alarms: unchanged" in said) == (0, True, True), said
    code, said = absa("rollback", "--list")
    assert (code, "2 (live)" in said, "models/v1/model.tar.gz" in said) == (0, True, True), said
    code, said = absa("rollback")
    assert (code, "absa is at release 1" in said) == (0, True), said
    code, said = absa("destroy", "--yes")
    assert (code, "absa-endpoint: deleted" in said, "Kept: artifacts" in said) == (0, True, True), said
    code, said = absa("destroy", "--yes", "--delete-data")
    assert (code, "no stack of absa" in said, "absa-storage: deleted" in said) == (0, True, True), said


def test_dry_run_shows_what_would_change(stage: Scene):
    """Of a new stack the values that are not the template's, of one that is there those that are not its own."""
    code, said = absa("deploy", *TYPED, "--dry-run", "--templates", INFRA)
    assert (code, "not there" in said, "InstanceType=ml.c5.xlarge" in said) == (0, True, True), said
    assert stage.service.describe(None) == []
    absa("deploy", *TYPED, "--templates", INFRA)
    code, said = absa("update", "--max-instances", "20", "--dry-run", "--templates", INFRA)
    assert code == 0
    assert said.count("MaxInstances=20") == 2
    assert "InstanceType" not in said


def test_offline_needs_no_account(monkeypatch, tmp_path):
    """Templates and values are checked where there are neither credentials nor a Region."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    code, said = absa("deploy", "--offline", "--shape", "pipeline", "--image", FIRST, "--templates", INFRA)
    assert (code, "Nothing was changed" in said) == (0, True), said
    code, said = absa("deploy", *TYPED, "--templates", INFRA)
    assert (code, "--region" in said) == (1, True), said
    code, said = absa("deploy", *TYPED, "--templates", INFRA, "--region", REGION)
    assert (code, "aws sso login" in said) == (1, True), said


ERRORS = {
    "value that the template refuses": (["--set", "MinInstances=1"], 1, "expected 2 to"),
    "no template of that name": (["--templates", "nowhere"], 1, "--templates"),
    "value without a name": (["--set", "MinInstances"], 2, "Name=Value"),
    "part that is none": (["--only", "stores"], 1, "there are storage"),
}


@pytest.mark.parametrize(("arguments", "code", "named"), ERRORS.values(), ids=ERRORS)
def test_what_cannot_be_done_is_said(stage, arguments, code, named):
    """Exit code 1, or 2 for a command line that makes no sense."""
    where = [] if "--templates" in arguments else ["--templates", INFRA]
    assert absa("deploy", *TYPED, *where, *arguments)[0] == code
    assert named in absa("deploy", *TYPED, *where, *arguments)[1]


def test_stack_that_fails_is_told_with_its_reason(stage: Scene):
    """Exit code 1; the resource, the reason, and that nothing half-made is left in the way."""
    stage.service.fails.append("absa-endpoint/Endpoint")
    code, said = absa("deploy", *TYPED, "--templates", INFRA)
    assert code == 1
    assert "Endpoint (AWS::SageMaker::Endpoint): planted" in said
    assert absa("deploy", *TYPED, "--templates", INFRA)[0] == 0


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(stage: Scene, monkeypatch):
    """CloudFormation goes on; the same command follows it."""
    absa("deploy", "--only", "storage", "--templates", INFRA)

    def interrupted(_: str) -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(stage.service, "describe", interrupted)
        code, said = absa("deploy", *TYPED, "--templates", INFRA)
    assert (code, "the same command continues" in said) == (130, True), said
    assert absa("deploy", *TYPED, "--templates", INFRA)[0] == 0


def test_destroy_asks_first(stage: Scene):
    """A no changes nothing; data are asked for a second time, and kept unless the command named them."""
    absa("deploy", *TYPED, "--templates", INFRA)
    code, said = absa("destroy", answer="n\n")
    assert (code, "absa-dashboard, absa-alarms, absa-endpoint, absa-roles" in said) == (1, True), said
    assert stage.service.named("absa-endpoint") is not None
    code, said = absa("destroy", "--delete-data", answer="y\nn\n")
    assert (code, "for ever" in said) == (1, True), said
    assert [stack.name for stack in stage.service.describe(None)] == ["absa-storage"]
    assert len(boto3.client("s3", REGION).list_buckets()["Buckets"]) == 2


DOCKER = """#!/bin/sh
echo "$@" >> {log}
case "$1 $2" in
  "buildx version") exit {no_buildx} ;;
  "image inspect") cat {image} ;;
  "push {uri}:"*) python3 {pushed} "$2" ;;
esac
"""


@pytest.fixture
def engine(stage, monkeypatch, tmp_path):
    """A docker that writes down what it is told; its push arrives in moto's ECR. Given is what it tells of an image."""
    labels = dict.fromkeys(LABELS, "true")
    image = {"Id": "sha256:abcdef012345678", "Os": "linux", "Architecture": "amd64", "Config": {"Labels": labels}}
    file, log, pushed = tmp_path / "image.json", tmp_path / "log", tmp_path / "pushed.py"
    file.write_text(json.dumps([image]), encoding="utf-8")
    # The engine is another process, and moto is in this one: what was pushed arrives when ECR is next asked.
    pushed.write_text(f"import sys; open({str(tmp_path / 'arrived')!r}, 'w').write(sys.argv[1])", encoding="utf-8")
    program = tmp_path / "docker"
    program.write_text(DOCKER.format(log=log, image=file, uri=URI, pushed=pushed, no_buildx=0), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("DOCKER_BUILDKIT", raising=False)
    ecr = boto3.client("ecr", REGION)
    ecr.create_repository(repositoryName="absa-server")

    show = docker.show

    def shown(arguments) -> None:
        show(arguments)
        arrived = tmp_path / "arrived"
        if arrived.exists():
            manifest = json.dumps({"schemaVersion": 2, "config": {"digest": "sha256:" + "1" * 64}, "layers": []})
            tag = arrived.read_text().rpartition(":")[2]
            media = "application/vnd.docker.distribution.manifest.v2+json"
            ecr.put_image(
                repositoryName="absa-server", imageManifest=manifest, imageTag=tag, imageManifestMediaType=media
            )
            arrived.unlink()

    monkeypatch.setattr(docker, "show", shown)
    return file


def test_push_builds_checks_pushes_and_prints_the_digest(engine):
    """In that order; and once: the second time the image is there already."""
    code, said = absa("push-image", "--repository", URI, "--build-arg", "TORCH_INDEX_URL=cpu")
    assert code == 0, said
    assert f"absa deploy --image {URI}@sha256:" in said
    done = [line.split()[0:2] for line in (engine.parent / "log").read_text().splitlines()]
    assert done == [
        ["buildx", "version"],
        ["buildx", "build"],
        ["image", "inspect"],
        ["login", "--username"],
        ["tag", "absa-server:push"],
        ["push", f"{URI}:0.1.0-abcdef012345"],
    ]
    code, said = absa("push-image", "--repository", URI, "--image", "absa-server")
    assert (code, "there already" in said) == (0, True), said
    assert (engine.parent / "log").read_text().count(f"\npush {URI}") == 1


def test_image_for_another_machine_is_not_pushed(engine):
    """Exit code 1, and nothing was logged in to."""
    image = json.loads(engine.read_text())
    image[0]["Architecture"] = "arm64"
    engine.write_text(json.dumps(image), encoding="utf-8")
    code, said = absa("push-image", "--repository", URI)
    assert (code, "linux/arm64" in said) == (1, True), said
    assert "login" not in (engine.parent / "log").read_text()


def test_push_finds_the_repository_of_the_stack(engine, stage: Scene):
    """Without --repository; and where there is no such stack, says what makes it."""
    code, said = absa("push-image", "--image", "absa-server")
    assert (code, "--only storage" in said) == (1, True), said
    boto3.client("ecr", REGION).delete_repository(repositoryName="absa-server", force=True)
    absa("deploy", "--only", "storage", "--templates", INFRA)
    code, said = absa("push-image", "--image", "absa-server")
    assert (code, f"{URI}@sha256:" in said) == (0, True), said


def test_push_dry_run_prints_the_commands():
    """And runs none."""
    code, said = absa("push-image", "--dry-run", "--repository", URI, "--tag", "1")
    assert code == 0
    assert f"docker push {URI}:1" in said
    assert "--platform linux/amd64" in said
