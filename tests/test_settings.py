"""The environment, read once: names, meanings, both sides of each bound, and messages that name the variable."""

import math
from pathlib import Path

import pytest

from absa_server.settings import UNLIMITED, ConfigurationError, read_settings, variable_names


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Starts from no variable of ours; yields a function that sets some and reads the settings."""
    for name in variable_names():
        monkeypatch.delenv(name, raising=False)

    def read(**variables: str):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return read_settings()

    return read


def test_defaults_are_sagemakers(environment):
    """With nothing set: port 8080 on all interfaces, /opt/ml/model, 25 MB, 60 s."""
    settings = environment()
    assert (settings.host, settings.port, settings.model_dir) == ("0.0.0.0", 8080, Path("/opt/ml/model"))
    assert (settings.max_payload_bytes, settings.request_timeout_s) == (25 * 1024 * 1024, 60)


def test_sagemaker_names_keep_their_meaning(environment):
    """The variables of the inference toolkit do what they do there."""
    settings = environment(
        SAGEMAKER_BIND_TO_PORT="8123",
        SAGEMAKER_BASE_DIR="/data",
        SAGEMAKER_MULTI_MODEL="true",
        SAGEMAKER_CONTAINER_LOG_LEVEL="10",
        SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv",
        SAGEMAKER_MAX_PAYLOAD_IN_MB="6",
        SAGEMAKER_MODEL_SERVER_TIMEOUT="30",
    )
    assert (settings.port, settings.model_dir, settings.multi_model) == (8123, Path("/data/model"), True)
    assert (settings.log_level, settings.default_accept, settings.max_payload_mb) == ("DEBUG", "text/csv", 6)
    assert settings.request_timeout_s == 30


def test_timeout_in_seconds_overrides_the_older_name(environment):
    """SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS wins over SAGEMAKER_MODEL_SERVER_TIMEOUT."""
    settings = environment(SAGEMAKER_MODEL_SERVER_TIMEOUT="30", SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS="40")
    assert settings.request_timeout_s == 40


def test_model_dir_of_ours_wins(environment):
    """ABSA_MODEL_DIR replaces SageMaker's folder."""
    assert environment(ABSA_MODEL_DIR="/m", SAGEMAKER_BASE_DIR="/data").model_dir == Path("/m")


def test_empty_variables_count_as_unset(environment):
    """A template that leaves a variable empty means its default."""
    assert environment(SAGEMAKER_BIND_TO_PORT="", ABSA_MAX_RECORDS="").port == 8080


BOUNDS = [
    ("SAGEMAKER_BIND_TO_PORT", ["1", "65535"], ["0", "65536", "http"]),
    ("SAGEMAKER_MAX_PAYLOAD_IN_MB", ["0", "1024"], ["-1", "1025", "6MB"]),
    ("SAGEMAKER_MODEL_SERVER_TIMEOUT", ["0.1", "3600"], ["0", "3601", "soon"]),
    ("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", ["1"], ["-1"]),
    ("SAGEMAKER_CONTAINER_LOG_LEVEL", ["info", "20", "WARNING"], ["15", "loud"]),
    ("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", ["application/json", "application/x-ndjson"], ["text/html", "*/*"]),
    ("SAGEMAKER_MULTI_MODEL", ["true", "false", "True"], ["maybe"]),
    ("ABSA_MAX_RECORDS", ["1"], ["0"]),
    ("ABSA_MAX_TEXT_CHARS", ["1"], ["0"]),
    ("ABSA_MAX_ASPECTS", ["1"], ["0"]),
    ("ABSA_MAX_PENDING_REQUESTS", ["1"], ["0"]),
    ("ABSA_INFERENCE_THREADS", ["0", "64"], ["-1", "65"]),
    ("ABSA_ENGINE_THREADS", ["0", "256"], ["-1", "257"]),
    ("ABSA_BATCH_TOKENS", ["0", "64"], ["-1", "1", "63"]),
    ("ABSA_RESULT_CACHE_MB", ["0", "65536"], ["-1", "65537"]),
    ("ABSA_ENGINE", ["auto", "torch"], ["cuda"]),
    ("ABSA_HOST", ["127.0.0.1", "::1", "localhost"], ["not a host", "256.0.0.1"]),
]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, good, _ in BOUNDS for value in good])
def test_value_inside_the_bounds_is_taken(environment, name, value):
    """The bounds themselves are legal."""
    assert environment(**{name: value})


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, _, bad in BOUNDS for value in bad])
def test_value_outside_the_bounds_names_the_variable(environment, name, value):
    """The message begins with the variable and repeats what was set."""
    with pytest.raises(ConfigurationError) as caught:
        environment(**{name: value})
    assert str(caught.value).startswith(f"{name}={value!r}: ")


def test_several_problems_are_told_together(environment):
    """One start tells all that is wrong, a line each; a misspelt variable is told with the one it resembles."""
    with pytest.raises(ConfigurationError) as caught:
        environment(ABSA_MAX_RECORD="5", SAGEMAKER_BIND_TO_PORT="0", ABSA_ENGINE="gpu")
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert lines[0] == "ABSA_MAX_RECORD: no such variable; did you mean ABSA_MAX_RECORDS?"


def test_unknown_sagemaker_variables_are_left_alone(environment):
    """The platform sets variables that we do not read."""
    assert environment(SAGEMAKER_SAFE_PORT_RANGE="25000-25999", SAGEMAKER_REGION="eu-west-1")


def test_variables_of_kubernetes_services_are_left_alone(environment, monkeypatch):
    """A service called absa-server makes Kubernetes set these in every pod beside it."""
    for name in ("ABSA_SERVER_SERVICE_HOST", "ABSA_SERVER_SERVICE_PORT_HTTP", "ABSA_SERVER_PORT_8080_TCP_ADDR"):
        monkeypatch.setenv(name, "10.0.0.1")
    assert environment()


def test_settings_cannot_be_changed(environment):
    """Whoever holds the settings holds what was read at the start."""
    with pytest.raises(ValueError, match="frozen"):
        environment().port = 1


def test_batch_transform_lifts_the_limits_that_are_not_set(environment):
    """SAGEMAKER_BATCH=True: no record limit, no deadline, 100 MB; what is set still counts."""
    batch = environment(SAGEMAKER_BATCH="True")
    assert (batch.max_payload_bytes, batch.record_limit, batch.deadline_s) == (100 * 1024 * 1024, UNLIMITED, math.inf)
    chosen = environment(ABSA_MAX_RECORDS="7", SAGEMAKER_MODEL_SERVER_TIMEOUT="9", SAGEMAKER_MAX_PAYLOAD_IN_MB="3")
    assert (chosen.max_payload_bytes, chosen.record_limit, chosen.deadline_s) == (3 * 1024 * 1024, 7, 9)


def test_payload_of_zero_is_unlimited(environment):
    """So batch transform announces bodies without a length."""
    assert environment(SAGEMAKER_MAX_PAYLOAD_IN_MB="0").max_payload_bytes == UNLIMITED
