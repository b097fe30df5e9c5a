"""Fixtures of the function's tests."""

import boto3
import pytest

from absa_invoke.budgets import TimeBudget

from .scripted_runtime import scripted_runtime


@pytest.fixture(scope="session")
def runtime():
    """A scripted SageMaker Runtime, for the whole session; each test leaves its script empty."""
    with scripted_runtime() as running:
        yield running


@pytest.fixture
def session(runtime, monkeypatch) -> boto3.Session:
    """boto3 as the function has it, sent to the scripted runtime."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", runtime.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", runtime.url)
    return boto3.Session("none", "none", region_name="us-east-1")


@pytest.fixture
def budget() -> TimeBudget:
    """26 s that do not pass."""
    return TimeBudget(26.0, clock=lambda: 0.0)
