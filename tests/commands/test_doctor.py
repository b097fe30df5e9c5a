"""`absa doctor` as its user meets it: template, image and artifact here, the account on moto."""

import json
import tarfile
from pathlib import Path

import boto3
import pytest
from typer.testing import CliRunner

from absa_server.cli import app
from absa_server.commands import artifact_opening
from tests.cloud.conftest import account
from tests.infra.stacks import IMAGE, INFRA, SHAPES

__all__ = ["account"]

ROLE = "arn:aws:iam::111122223333:role/absa"


def run(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code, and the findings by check."""
    done = CliRunner().invoke(app, ["doctor", "--templates", str(INFRA), "--json", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, {finding["check"]: finding for finding in json.loads(done.stdout)}


@pytest.mark.parametrize("shape", SHAPES)
def test_our_templates_pass_in_every_shape(shape):
    """Offline, with an image by digest, nothing fails, and what was not named is skipped."""
    code, found = run("--offline", "--shape", shape, "--image", IMAGE)
    assert code == 0
    statuses = {check: finding["status"] for check, finding in found.items()}
    assert statuses["one multi-model container a pipeline"] == statuses["environment size"] == "ok"
    assert statuses["image by digest"] == statuses["image region"] == "ok"
    assert statuses["artifacts bucket"] == statuses["execution role"] == statuses["account"] == "skipped"


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("            Mode: SingleModel\n", "            Mode: MultiModel\n", "one multi-model container a pipeline"),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL: !Ref ContainerLogLevel", f"A: {'x' * 1025}", "environment size"),
    ],
)
def test_template_that_sagemaker_would_refuse_fails(tmp_path: Path, old, new, check):
    """Two multi-model containers in a pipeline, and a variable that is too long: named, with exit code 1."""
    text = (INFRA / "endpoint.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "endpoint.yaml").write_text(text.replace(old, new), encoding="utf-8")
    code, found = run("--offline", "--shape", "pipeline-multi-model", "--templates", str(tmp_path))
    assert (code, found[check]["status"]) == (1, "failed")
    assert found[check]["remedy"]


def test_parameter_that_the_template_does_not_know_fails():
    """With the template's own words."""
    code, found = run("--offline", "--set", "Shap=single")
    assert (code, found["template"]["status"]) == (1, "failed")
    assert "Shap" in found["template"]["message"]


def test_image_by_tag_fails_and_the_rest_is_still_checked():
    """One thing wrong hides no other."""
    code, found = run("--offline", "--image", IMAGE.split("@")[0] + ":latest")
    assert (code, found["image by digest"]["status"], found["environment size"]["status"]) == (1, "failed", "ok")


def archive(folder: Path, into: Path) -> Path:
    with tarfile.open(into, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    return into


def test_artifact_is_opened_as_the_server_opens_it(tiny_models: Path, tmp_path: Path):
    """An archive is unpacked, loaded and asked a sentence; what is told is what was loaded."""
    packed = archive(tiny_models, tmp_path / "model.tar.gz")
    finding = artifact_opening.check_artifact(str(packed), engine="torch")  # the quickest for so small a model
    assert (finding.status, "chain" in finding.message) == ("ok", True), finding


@pytest.mark.parametrize("kind", ["empty folder", "broken archive", "absent"])
def test_artifact_that_the_server_would_refuse_fails(tmp_path: Path, kind):
    """With the loader's own message, and where the layouts are described."""
    path = tmp_path / ("model.tar.gz" if kind == "broken archive" else "model")
    if kind == "empty folder":
        path.mkdir()
    elif kind == "broken archive":
        path.write_bytes(b"this is no archive")
    code, found = run("--offline", "--artifact", str(path))
    assert (code, found["artifact layout"]["status"]) == (1, "failed")
    assert "artifacts.md" in found["artifact layout"]["remedy"]


def test_account_is_asked_for_what_was_named(account, monkeypatch: pytest.MonkeyPatch):
    """Bucket, data and role in one run; a service that does not answer is a warning, not the end."""
    s3, place = boto3.client("s3", account), {"LocationConstraint": account}
    s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration=place)
    s3.put_object(Bucket="artifacts", Key="models/v1/model.tar.gz", Body=b"x")
    trust = '{"Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}}]}'
    boto3.client("iam").create_role(RoleName="absa", AssumeRolePolicyDocument=trust)
    # Moto implements neither; AWS would refuse them to most callers.
    for name in ("check_pass_role", "check_instance_quota", "check_api_quota"):
        monkeypatch.setattr(f"absa_server.cloud.preflight.{name}", lambda *_: artifact_opening.ok("quota", ""))
    named = ["--role", ROLE, "--artifacts-bucket", "artifacts", "--results-bucket", "results", "--region", account]
    code, found = run(*named)
    statuses = {check: found[check]["status"] for check in ("credentials", "artifacts bucket", "model data")}
    assert statuses == {"credentials": "ok", "artifacts bucket": "ok", "model data": "ok"}
    assert found["execution role"]["status"] == "ok"
    assert (found["results bucket"]["status"], code) == ("failed", 1)


def test_table_tells_what_to_do():
    """For people: each check, its state, and the remedy."""
    done = CliRunner().invoke(app, ["doctor", "--offline", "--templates", "nowhere"])
    assert done.exit_code == 1
    assert "--templates" in done.stdout
    assert "failed" in done.stdout


def test_missing_region_ends_with_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Before anything is asked."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    done = CliRunner().invoke(app, ["doctor", "--templates", str(INFRA)])
    assert (done.exit_code, "--region" in done.stdout) == (1, True)
