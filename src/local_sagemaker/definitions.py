"""What is to be played, as values: containers, models, variants, endpoints, images. Knows no file and no process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Routing = Literal["RANDOM", "LEAST_OUTSTANDING_REQUESTS"]


@dataclass(frozen=True, slots=True)
class ImageDefinition:
    """What an image's name stands for here: a command of this machine, or an image for `docker run`."""

    command: tuple[str, ...] | None = None
    docker: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    docker_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerDefinition:
    """One entry of `Containers`, or `PrimaryContainer`."""

    hostname: str
    image: ImageDefinition
    environment: Mapping[str, str]
    model_data_url: str | None
    is_multi_model: bool = False
    caches_models: bool = True


@dataclass(frozen=True, slots=True)
class ModelDefinition:
    """CreateModel. The containers stand in the order in which a pipeline passes them."""

    name: str
    containers: tuple[ContainerDefinition, ...]
    is_direct: bool = False

    @property
    def is_multi_model(self) -> bool:
        """Whether one of the containers loads models by name."""
        return any(container.is_multi_model for container in self.containers)


@dataclass(frozen=True, slots=True)
class VariantDefinition:
    """One entry of `ProductionVariants`."""

    name: str
    model: ModelDefinition
    instances: int = 1
    weight: float = 1.0
    routing: Routing = "RANDOM"
    startup_s: float | None = None


@dataclass(frozen=True, slots=True)
class AsyncDefinition:
    """`AsyncInferenceConfig`."""

    output_path: str
    failure_path: str | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class EndpointDefinition:
    """CreateEndpoint with its CreateEndpointConfig."""

    name: str
    variants: tuple[VariantDefinition, ...]
    asynchronous: AsyncDefinition | None = None


@dataclass(frozen=True, slots=True)
class Definitions:
    """All of one configuration file, by name."""

    models: Mapping[str, ModelDefinition]
    endpoints: Mapping[str, EndpointDefinition]
