"""`absa invoke` and `absa status` as their user meets them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from absa_server.cli import app
from absa_server.cloud import inquiry as inquiry_module
from tests.cloud.conftest import account
from tests.cloud.stubbed import Stubbed, inquiry
from tests.cloud.test_status import DESCRIBED, deployed, unscaled
from tests.local_sagemaker.conftest import small_image
from tests.local_sagemaker.stand import configuration, stand

__all__ = ["account", "small_image"]


@pytest.fixture(scope="module")
def url(small_image, tmp_path_factory):
    """Where a local SageMaker hosts the endpoint `one`."""
    described = configuration({"small": small_image}, [{"ModelName": "one", "PrimaryContainer": {"Image": "small"}}])
    with stand(described, tmp_path_factory.mktemp("sagemaker")) as ready:
        yield ready.url


def invoke(url: str, *arguments: str, given: str | None = None):
    return CliRunner().invoke(app, ["invoke", "--endpoint", "one", "--endpoint-url", url, *arguments], input=given)


def test_text_is_sent_as_json_and_the_answer_printed(url):
    """One JSON document on stdout, non-ASCII as it is."""
    done = invoke(url, "--text", "Schöne Küche")
    assert done.exit_code == 0, done.output
    assert json.loads(json.loads(done.stdout)["body"]) == {"text": "Schöne Küche"}


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("a.jsonl", "application/jsonlines"), ("a.csv", "text/csv"), ("a.txt", "text/plain"), ("a", "application/json")],
)
def test_file_is_sent_as_it_is_with_the_type_of_its_ending(url, tmp_path: Path, name, content_type):
    """Bytes unchanged; the ending tells the type."""
    (tmp_path / name).write_text("one\ntwo\n", encoding="utf-8")
    told = json.loads(invoke(url, "--file", str(tmp_path / name)).stdout)
    assert told["body"] == "one\ntwo\n"
    assert {key.lower(): value for key, value in told["headers"].items()}["content-type"] == content_type


def test_stdin_is_a_file(url):
    """`--file -`."""
    assert json.loads(invoke(url, "--file", "-", given='{"text": "x"}').stdout)["body"] == '{"text": "x"}'


def test_refusal_goes_to_stderr_with_exit_code_1(url):
    """stdout stays clean for whoever pipes it."""
    done = invoke(url, "--text", "x", "--target-model", "x.tar.gz")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "error:" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["--text", "x", "--file", "y"], ["--file", "nowhere.json"]])
def test_wrong_usage_is_explained(url, arguments):
    """Neither, both, or a file that is not there: exit code 2."""
    assert invoke(url, *arguments).exit_code == 2


def test_status_is_one_json_document(account, monkeypatch: pytest.MonkeyPatch):
    """The endpoint of the templates, on moto; nothing else on stdout."""
    deployed(account)
    real = inquiry_module.open_inquiry(account, None)
    of = inquiry_module.Inquiry(real.session, {"application-autoscaling": unscaled().client})
    monkeypatch.setattr(inquiry_module, "open_inquiry", lambda *_: of)
    done = CliRunner().invoke(app, ["status", "--endpoint", "absa", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["status"], found["variants"][0]["current"]) == ("InService", 2)


def test_status_tells_people_what_is_wrong(monkeypatch: pytest.MonkeyPatch):
    """A failed endpoint, its reason, its errors and what could not be read; exit code 1."""
    event = {"timestamp": 1_700_000_000_000, "message": '{"level": "ERROR", "event": "model_load_failed"}'}
    of = inquiry(
        sagemaker=Stubbed(
            "sagemaker", ("describe_endpoint", DESCRIBED | {"EndpointStatus": "Failed", "FailureReason": "no ping"})
        ),
        application_autoscaling=Stubbed("application-autoscaling", ("describe_scalable_targets", "AccessDenied")),
        logs=Stubbed("logs", ("filter_log_events", {"events": [event]})),
    )
    monkeypatch.setattr(inquiry_module, "open_inquiry", lambda *_: of)
    done = CliRunner().invoke(app, ["status"])
    assert done.exit_code == 1
    for word in ("Failed", "no ping", "model_load_failed", "AccessDenied"):
        assert word in done.stdout


def test_status_of_an_absent_endpoint_is_one_line(account):
    """Name and Region."""
    done = CliRunner().invoke(app, ["status", "--endpoint", "nobody", "--region", account])
    assert done.exit_code == 1
    assert f"there is no endpoint nobody in {account}" in done.stdout
