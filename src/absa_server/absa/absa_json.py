"""`absa.json`, the optional file in which an artifact's owner says what config.json cannot.

Every field may be left out. Unknown keys are refused, so that a misspelt field is found when the artifact is loaded
and not when its answers are wrong.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from absa_server.errors import InvalidModel

FILE_NAME = "absa.json"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AspectSection(_Section):
    """How to read the token classifier. Lengths are in tokens, special ones included."""

    path: str = "aspect"
    kind: Literal["token-classification"] = "token-classification"
    labels: dict[str, str] = {}
    scheme: Literal["auto"] = "auto"
    word_level: Literal["first", "mean", "token"] = "first"
    max_length: int | None = Field(None, ge=8)
    stride: int = Field(96, ge=0)
    min_score: float = Field(0.0, ge=0, le=1)
    lowercase: bool = False


class SentimentSection(_Section):
    """How to word an aspect for the sequence classifier, and how to read its labels."""

    path: str = "sentiment"
    kind: Literal["pair", "single"] = "pair"
    order: tuple[Literal["text", "aspect"], Literal["text", "aspect"]] = ("text", "aspect")
    template: str | None = None
    markers: tuple[str, str] | None = None
    labels: dict[str, str] = {}
    activation: Literal["softmax", "sigmoid"] = "softmax"
    context: Literal["sentence", "text"] = "sentence"
    max_length: int | None = Field(None, ge=8)

    @model_validator(mode="after")
    def _fits_together(self) -> "SentimentSection":
        if set(self.order) != {"text", "aspect"}:
            raise ValueError('order must be ["text", "aspect"] or ["aspect", "text"]')
        if self.template is not None and "{aspect}" not in self.template:
            raise ValueError("template must contain {aspect}")
        if self.kind == "single" and (self.markers is None or self.template is not None):
            raise ValueError(
                "kind single shows the text alone: it needs markers around the aspect, and takes no template"
            )
        return self


class OutputSection(_Section):
    """What answers hold. The unit of offsets is each request's own choice (`parameters.offsets`)."""

    offsets: Literal["codepoint"] = "codepoint"
    scores: bool = True
    categories: bool = True


class AbsaJson(_Section):
    """The whole file."""

    version: Literal[1] = 1
    aspect: AspectSection = AspectSection()
    sentiment: SentimentSection = SentimentSection()
    output: OutputSection = OutputSection()


def parse_absa_json(document: bytes) -> AbsaJson:
    """The file's content. Raises `InvalidModel` naming each field that is wrong."""
    try:
        return AbsaJson.model_validate_json(document)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'document'}: {one['msg']}" for one in error.errors())
        raise InvalidModel(f"{FILE_NAME}: {found}") from error
