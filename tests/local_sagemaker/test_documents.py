"""The configuration file: what the API refuses is refused, what is not played says so."""

import copy
import json

import pytest

from local_sagemaker.documents import parse_definitions, read_definitions
from local_sagemaker.errors import ConfigurationError
from tests.local_sagemaker.stand import configuration

SMALL = {"Image": "small", "ModelDataUrl": "models/m.tar.gz"}


def good():
    return configuration(
        {"small": {"Command": ["bin/serve", "--fast"]}}, [{"ModelName": "m", "PrimaryContainer": SMALL}]
    )


def test_paths_are_taken_from_the_files_folder(tmp_path):
    """A program with a folder, a model's path; addresses stay."""
    (tmp_path / "configuration.json").write_text(json.dumps(good()))
    container = read_definitions(tmp_path / "configuration.json").models["m"].containers[0]
    assert container.image.command == (str(tmp_path / "bin/serve"), "--fast")
    assert container.model_data_url == str(tmp_path / "models/m.tar.gz")


def test_image_without_an_entry_is_a_docker_image(tmp_path):
    """Its name is what docker is told to run."""
    described = configuration({}, [{"ModelName": "m", "PrimaryContainer": {"Image": "absa-server:ci"}}])
    image = parse_definitions(described, folder=tmp_path).models["m"].containers[0].image
    assert (image.command, image.docker) == (None, "absa-server:ci")


def test_variant_fields_of_the_api_are_taken(tmp_path):
    """Instances, weight, routing and the start-up window."""
    extra = {
        "InitialInstanceCount": 3,
        "InitialVariantWeight": 0.5,
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
        "ContainerStartupHealthCheckTimeoutInSeconds": 90,
    }
    described = configuration({}, [{"ModelName": "m", "PrimaryContainer": SMALL}], m=extra)
    (variant,) = parse_definitions(described, folder=tmp_path).endpoints["m"].variants
    assert (variant.instances, variant.weight, variant.routing) == (3, 0.5, "LEAST_OUTSTANDING_REQUESTS")
    assert variant.startup_s == 90


def change(document, path, value):
    changed = copy.deepcopy(document)
    *before, last = path
    place = changed
    for step in before:
        place = place[step]
    place[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["Unknown"], [], "Unknown"),
        (["Images", "small"], {}, "Command"),
        (["Images", "small"], {"Command": ["x"], "Docker": "y"}, "Command"),
        (["Models", 0, "Containers"], [SMALL, SMALL], "not both"),
        (["Models", 0, "PrimaryContainer", "Mode"], 3, "Mode"),
        (["Models", 0, "PrimaryContainer", "Typo"], "x", "Typo"),
        (["Models", 0, "PrimaryContainer"], {"Image": "small", "Mode": "MultiModel"}, "ModelDataUrl"),
        (["Models", 0, "PrimaryContainer"], {"ModelDataUrl": "x"}, "Image"),
        (["Models", 0], {"ModelName": "m", "Containers": [SMALL | {"Mode": "MultiModel"}] * 2}, "at most one"),
        (["Models", 0], {"ModelName": "m", "Containers": [SMALL] * 16}, "at most 15"),
        (
            ["Models", 0],
            {"ModelName": "m", "Containers": [SMALL, SMALL], "InferenceExecutionConfig": {"Mode": "Direct"}},
            "ContainerHostname",
        ),
        (["Endpoints", 0, "EndpointConfigName"], "other", "other"),
        (["EndpointConfigs", 0, "ProductionVariants", 0, "ModelName"], "other", "other"),
        (["EndpointConfigs", 0, "ProductionVariants", 0, "RoutingConfig"], {"RoutingStrategy": "KV_AWARE"}, "KV_AWARE"),
        (
            ["EndpointConfigs", 0, "ProductionVariants", 0, "ServerlessConfig"],
            {"MemorySizeInMB": 2048, "MaxConcurrency": 1},
            "not played",
        ),
    ],
)
def test_document_that_cannot_be_played_is_refused(tmp_path, path, value, said):
    """The message names what is wrong."""
    with pytest.raises(ConfigurationError, match=said):
        parse_definitions(change(good(), path, value), folder=tmp_path)


def test_file_that_is_no_json_is_refused(tmp_path):
    """With its name."""
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"c\.json"):
        read_definitions(tmp_path / "c.json")
