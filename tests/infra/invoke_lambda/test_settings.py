"""The environment, as the template writes it."""

import pytest

from absa_invoke.settings import BadSettings, read_settings
from tests.infra.stacks import SHAPES

from .function_environment import environment, properties

OWN = ("ENDPOINT_NAME", "SHAPE", "ARTIFACTS_BUCKET", "ARTIFACTS_PREFIX", "RELEASE")


@pytest.mark.parametrize("shape", SHAPES)
def test_template_is_understood_in_every_shape(shape):
    """Names and values are those that the function reads."""
    settings = read_settings(environment(Shape=shape, Release="7"))
    assert (settings.shape, settings.release, settings.endpoint_name) == (shape, "7", "absa")
    assert settings.is_async == (shape == "async")
    assert bool(settings.async_input_uri) == (shape == "async")


def test_template_says_nothing_that_is_not_read():
    """A variable that nobody reads is a mistake of one side."""
    known = {*OWN, "ASYNC_INPUT_URI", "ASYNC_OUTPUT_URI"}
    names = set(properties()["Environment"]["Variables"])
    assert {name for name in names if not name.startswith("POWERTOOLS_")} == known


@pytest.mark.parametrize("name", OWN)
def test_missing_variable_is_named(name):
    """The start ends with it."""
    given = environment()
    del given[name]
    with pytest.raises(BadSettings, match=name):
        read_settings(given)


@pytest.mark.parametrize(
    ("name", "value"), [("SHAPE", "serverless"), ("ARTIFACTS_PREFIX", "models"), ("ASYNC_INPUT_URI", "bucket/folder/")]
)
def test_bad_variable_is_named(name, value):
    """So does a value that cannot be."""
    with pytest.raises(BadSettings, match=name):
        read_settings(environment() | {name: value})


def test_jobs_need_their_folders():
    """Shape async without them is not set up."""
    with pytest.raises(BadSettings, match="ASYNC_INPUT_URI"):
        read_settings(environment(Shape="async") | {"ASYNC_OUTPUT_URI": ""})
