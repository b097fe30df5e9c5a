"""The one form of a question, whether it came as a query or as a body; infra/openapi.yaml says the same to API Gateway.

Nothing is converted: a number as a string is refused, as is a null, an unknown name, and a missing text.
"""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from absa_invoke.problems import INVALID_REQUEST, Problem

MAX_TEXTS = 64
MAX_TEXTS_OF_A_JOB = 1000  # what the containers take unless ABSA_MAX_RECORDS says otherwise
MAX_ERRORS_TOLD = 3

Text = Annotated[str, Field(min_length=1)]
ModelName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\.tar\.gz$", max_length=1024)
]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_null(cls, value: object) -> object:
        if isinstance(value, dict):
            for name, given in value.items():
                if given is None:
                    raise ValueError(f"{name}: null; leave it out instead")
        return value


class Parameters(_Form):
    """How to look at the texts; the containers know what each means (docs/api.md)."""

    mode: Literal["chain", "aspects", "sentiment"] | None = None
    min_score: float | None = Field(None, ge=0, le=1)
    offsets: Literal["codepoint", "utf16"] | None = None
    return_text: bool | None = None


class Review(_Form):
    """One text of several; a plain string is one without an id. The containers check the aspects."""

    text: Text
    id: str | int | float | bool | None = None
    aspects: list[str | dict[str, JsonValue]] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: object) -> object:
        return {"text": value} if isinstance(value, str) else value


class AnalyzeRequest(_Form):
    """One text, or 1 to 64 reviews. The answer has the same form: one result, or a list of them."""

    text: Text | None = None
    texts: Annotated[list[Review], Field(min_length=1, max_length=MAX_TEXTS)] | None = None
    parameters: Parameters | None = None
    model: ModelName | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "AnalyzeRequest":
        if (self.text is None) == (self.texts is None):
            raise ValueError("expected text or texts, and not both")
        return self

    @property
    def count(self) -> int:
        """How many texts are asked about."""
        return 1 if self.texts is None else len(self.texts)

    def for_container(self) -> bytes:
        """The body of the call to the endpoint; the model is named beside it."""
        fields = self.model_dump(exclude_none=True, exclude={"model"})
        return json.dumps(fields, ensure_ascii=False).encode()


class JobRequest(AnalyzeRequest):
    """The same, of up to 1,000 reviews."""

    texts: Annotated[list[Review], Field(min_length=1, max_length=MAX_TEXTS_OF_A_JOB)] | None = None


def refused(error: ValidationError) -> Problem:
    """The caller's problem with what was wrong where; not with what was sent, which may be a text."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    said = [f"{_place(one['loc'])}: {one['msg'].removeprefix('Value error, ')}" for one in found[:MAX_ERRORS_TOLD]]
    more = f"; and {len(found) - MAX_ERRORS_TOLD} more" if len(found) > MAX_ERRORS_TOLD else ""
    return Problem(INVALID_REQUEST, "; ".join(said) + more)


def _place(path: tuple[int | str, ...]) -> str:
    """`texts[3].text`."""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return place.removeprefix(".") or "body"
