"""The configuration file to definitions. Each document is checked by boto3's own model of its API call.

The file is JSON: `Models`, `EndpointConfigs`, `Endpoints` (lists of CreateModel, CreateEndpointConfig, CreateEndpoint)
and `Images`, the one mapping that is ours. Relative paths are taken from the file's folder. Knows no process.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import botocore.session
from botocore.validate import ParamValidator

from local_sagemaker.definitions import (
    AsyncDefinition,
    ContainerDefinition,
    Definitions,
    EndpointDefinition,
    ImageDefinition,
    ModelDefinition,
    Routing,
    VariantDefinition,
)
from local_sagemaker.errors import ConfigurationError

_SECTIONS = ("Models", "EndpointConfigs", "Endpoints", "Images")
_IMAGE_FIELDS = ("Command", "Docker", "DockerOptions", "Environment")
_ROUTINGS: dict[str, Routing] = {
    "RANDOM": "RANDOM",
    "LEAST_OUTSTANDING_REQUESTS": "LEAST_OUTSTANDING_REQUESTS",
}
_MAX_CONTAINERS = 15
_Named = TypeVar("_Named", ModelDefinition, EndpointDefinition)


def read_definitions(path: Path) -> Definitions:
    """The definitions in the file at `path`. Raises `ConfigurationError`."""
    return parse_definitions(read_json(path), folder=path.resolve().parent)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises `ConfigurationError`."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: expected a JSON file, got: {error}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: expected a JSON object")
    return document


def parse_definitions(document: Mapping[str, Any], *, folder: Path) -> Definitions:
    """The definitions of a configuration that was read from a file in `folder`. Raises `ConfigurationError`."""
    for name in document:
        if name not in _SECTIONS:
            raise ConfigurationError(f"{name}: expected one of {', '.join(_SECTIONS)}")
    images = {name: _image(fields, name=name, folder=folder) for name, fields in document.get("Images", {}).items()}
    models = _by_name(_model(one, images=images, folder=folder) for one in document.get("Models", ()))
    configs = {one.get("EndpointConfigName"): one for one in document.get("EndpointConfigs", ())}
    endpoints = _by_name(_endpoint(one, configs, models, folder) for one in document.get("Endpoints", ()))
    return Definitions(models, endpoints)


def check_document(operation: str, document: Mapping[str, Any]) -> None:
    """Refuse what boto3 would refuse to send as `operation`, and fields that the call does not have."""
    call = botocore.session.get_session().get_service_model("sagemaker").operation_model(operation)
    if call.input_shape is None:
        return
    report = ParamValidator().validate(dict(document), call.input_shape)
    if report.has_errors():
        raise ConfigurationError(f"{operation}: {report.generate_report()}")


def _by_name(definitions: Iterable[_Named]) -> dict[str, _Named]:
    named: dict[str, _Named] = {}
    for one in definitions:
        if one.name in named:
            raise ConfigurationError(f"{one.name}: expected each name once")
        named[one.name] = one
    return named


def _image(fields: Mapping[str, Any], *, name: str, folder: Path) -> ImageDefinition:
    unknown = [field for field in fields if field not in _IMAGE_FIELDS]
    if unknown or ("Command" in fields) == ("Docker" in fields):
        raise ConfigurationError(
            f"Images: {name}: expected Command (a list) or Docker (an image), perhaps DockerOptions and Environment, "
            f"got {', '.join(fields)}"
        )
    command = fields.get("Command")
    return ImageDefinition(
        command=None if command is None else (_program(str(command[0]), folder), *map(str, command[1:])),
        docker=fields.get("Docker"),
        environment={key: str(value) for key, value in fields.get("Environment", {}).items()},
        docker_options=tuple(fields.get("DockerOptions", ())),
    )


def _program(name: str, folder: Path) -> str:
    """A program is looked for on PATH, unless its name has a folder."""
    return str((folder / name).resolve()) if "/" in name else name


def _model(document: Mapping[str, Any], *, images: Mapping[str, ImageDefinition], folder: Path) -> ModelDefinition:
    check_document("CreateModel", document)
    name = document["ModelName"]
    if ("PrimaryContainer" in document) == ("Containers" in document):
        raise ConfigurationError(f"CreateModel {name}: expected PrimaryContainer or Containers, and not both")
    given = document.get("Containers") or [document["PrimaryContainer"]]
    if len(given) > _MAX_CONTAINERS:
        raise ConfigurationError(f"CreateModel {name}: expected at most {_MAX_CONTAINERS} containers, got {len(given)}")
    default = "container-{}" if "Containers" in document else "primary"
    containers = tuple(
        _container(one, model=name, default=default.format(number), images=images, folder=folder)
        for number, one in enumerate(given, start=1)
    )
    is_direct = document.get("InferenceExecutionConfig", {}).get("Mode") == "Direct"
    model = ModelDefinition(name, containers, is_direct)
    _check_model(model, has_names=all("ContainerHostname" in one for one in given))
    return model


def _check_model(model: ModelDefinition, *, has_names: bool) -> None:
    hostnames = {container.hostname for container in model.containers}
    if len(hostnames) < len(model.containers) or (model.is_direct and not has_names):
        raise ConfigurationError(
            f"CreateModel {model.name}: expected a ContainerHostname of its own for each container"
        )
    if sum(container.is_multi_model for container in model.containers) > 1:
        raise ConfigurationError(f"CreateModel {model.name}: expected at most one container of Mode MultiModel")


def _container(
    fields: Mapping[str, Any], *, model: str, default: str, images: Mapping[str, ImageDefinition], folder: Path
) -> ContainerDefinition:
    for name in ("ModelDataSource", "AdditionalModelDataSources", "ModelPackageName", "InferenceSpecificationName"):
        if name in fields:
            raise ConfigurationError(f"CreateModel {model}: {name}: not played here; name ModelDataUrl")
    is_multi_model = fields.get("Mode") == "MultiModel"
    url = fields.get("ModelDataUrl")
    if is_multi_model and not url:
        raise ConfigurationError(
            f"CreateModel {model}: expected ModelDataUrl, the models' prefix, with Mode MultiModel"
        )
    if "Image" not in fields:
        raise ConfigurationError(f"CreateModel {model}: expected an Image for each container")
    return ContainerDefinition(
        hostname=fields.get("ContainerHostname", default),
        image=images.get(fields["Image"]) or ImageDefinition(docker=fields["Image"]),
        environment=fields.get("Environment", {}),
        model_data_url=None if url is None else absolute(url, folder),
        is_multi_model=is_multi_model,
        caches_models=fields.get("MultiModelConfig", {}).get("ModelCacheSetting", "Enabled") == "Enabled",
    )


def absolute(url: str, folder: Path) -> str:
    """An address as it stands; a path made absolute, as seen from `folder`, keeping a last slash."""
    if "://" in url:
        return url
    return str((folder / url).resolve()) + ("/" if url.endswith("/") else "")


def _endpoint(
    document: Mapping[str, Any],
    configs: Mapping[str, Mapping[str, Any]],
    models: Mapping[str, ModelDefinition],
    folder: Path,
) -> EndpointDefinition:
    check_document("CreateEndpoint", document)
    name, config_name = document["EndpointName"], document["EndpointConfigName"]
    if config_name not in configs:
        raise ConfigurationError(f"CreateEndpoint {name}: expected one of EndpointConfigs, got {config_name}")
    config = configs[config_name]
    check_document("CreateEndpointConfig", config)
    variants = tuple(_variant(one, models, config_name) for one in config["ProductionVariants"])
    if len({variant.name for variant in variants}) < len(variants):
        raise ConfigurationError(f"CreateEndpointConfig {config_name}: expected each VariantName once")
    asynchronous = _asynchronous(config["AsyncInferenceConfig"], folder) if "AsyncInferenceConfig" in config else None
    return EndpointDefinition(name, variants, asynchronous)


def _variant(fields: Mapping[str, Any], models: Mapping[str, ModelDefinition], config: str) -> VariantDefinition:
    place = f"CreateEndpointConfig {config}: {fields['VariantName']}"
    if "ServerlessConfig" in fields:
        raise ConfigurationError(f"{place}: ServerlessConfig: not played here")
    if fields.get("ModelName") not in models:
        raise ConfigurationError(f"{place}: ModelName: expected one of Models, got {fields.get('ModelName')}")
    routing = fields.get("RoutingConfig", {}).get("RoutingStrategy", "RANDOM")
    if routing not in _ROUTINGS:
        raise ConfigurationError(f"{place}: RoutingStrategy: expected {' or '.join(_ROUTINGS)}, got {routing}")
    return VariantDefinition(
        name=fields["VariantName"],
        model=models[fields["ModelName"]],
        instances=fields.get("InitialInstanceCount", 1),
        weight=fields.get("InitialVariantWeight", 1.0),
        routing=_ROUTINGS[routing],
        startup_s=fields.get("ContainerStartupHealthCheckTimeoutInSeconds"),
    )


def _asynchronous(fields: Mapping[str, Any], folder: Path) -> AsyncDefinition:
    output = fields["OutputConfig"]
    failure = output.get("S3FailurePath")
    if "S3OutputPath" not in output:
        raise ConfigurationError("AsyncInferenceConfig: OutputConfig: expected S3OutputPath")
    return AsyncDefinition(
        output_path=absolute(output["S3OutputPath"], folder),
        failure_path=None if failure is None else absolute(failure, folder),
        concurrency=fields.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance"),
    )
