"""What answers one request: a pipeline, and the names and versions of its models. Knows not where they came from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from absa_server.absa.absa_json import OutputSection
from absa_server.absa.pipeline import Pipeline
from absa_server.errors import InvalidRequest
from absa_server.serving.loading import LoadedModel
from absa_server.user_code.loaded import UserCode


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What a request says of its model: a whole one, single stages, or (nothing set) nothing."""

    model: str | None = None
    aspect_model: str | None = None
    sentiment_model: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said."""
        return self.model is None and self.aspect_model is None and self.sentiment_model is None


@dataclass(frozen=True, slots=True)
class ServedModel:
    """`models` maps the role (`model`, or `aspect_model` and `sentiment_model`) to `name@version`.

    `name` is what its work is counted under; `code` answers instead, where the artifact brings some.
    """

    pipeline: Pipeline
    models: Mapping[str, str]
    name: str
    code: UserCode | None = None

    @classmethod
    def of(cls, loaded: LoadedModel, name: str) -> Self:
        """A model that stands for itself."""
        return cls(loaded.pipeline, {"model": f"{name}@{loaded.version}"}, name, loaded.code)


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model of a store. `content` tells its bytes from those of any other model and version."""

    loaded: LoadedModel
    name: str
    content: str

    @property
    def label(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.content.rpartition('#')[2]}"


def whole(model: NamedModel) -> ServedModel:
    """The model as it is; reloaded, it finds the answers that were kept of it."""
    pipeline = replace(model.loaded.pipeline, version=model.content)
    return ServedModel(pipeline, {"model": model.label}, model.name)


def chained(aspect: NamedModel, sentiment: NamedModel) -> ServedModel:
    """The aspect stage of one model and the sentiment stage of another; each keeps what its owner lets out.

    Raises `InvalidRequest` when one of them lacks its stage.
    """
    finder, rater = aspect.loaded.pipeline, sentiment.loaded.pipeline
    check_stages(aspect.loaded, field="aspect_model", name=aspect.name, is_aspect=True)
    check_stages(sentiment.loaded, field="sentiment_model", name=sentiment.name, is_aspect=False)
    output = OutputSection(scores=rater.output.scores, categories=finder.output.categories)
    version = f"{aspect.content} {sentiment.content}"
    pipeline = Pipeline(finder.aspect, rater.rater, output, finder.max_aspects, version)
    models = {"aspect_model": aspect.label, "sentiment_model": sentiment.label}
    return ServedModel(pipeline, models, f"{aspect.name}+{sentiment.name}")


def check_stages(loaded: LoadedModel, *, field: str, name: str, is_aspect: bool) -> None:
    """Raises `InvalidRequest` when the model lacks the stage that it was named for."""
    stage = loaded.pipeline.aspect if is_aspect else loaded.pipeline.rater
    if stage is None:
        wanted = "aspect" if is_aspect else "sentiment"
        raise InvalidRequest(
            f"parameters.{field}: expected a model with {'an' if is_aspect else 'a'} {wanted} stage; {name} has none "
            f"({loaded.kind})"
        )
