"""The shapes of `/invocations` for people and generated clients: documentation only; records.py does the reading.

They stand beside the parser because typed validation of a whole body could not leave one record's error in its place.
"""

from typing import Any

from pydantic import BaseModel, Field


class AspectSchema(BaseModel):
    """An aspect of an answer. Offsets are half-open, into the request's own string."""

    term: str
    start: int | None
    end: int | None
    score: float | None = Field(description="mean probability of the chosen tags over the span's words")
    category: str | None = None
    polarity: str | None = Field(None, description="positive, negative, neutral, conflict, or the model's own name")
    label: str | None = Field(None, description="the model's own name of the class")
    polarity_score: float | None = None
    scores: dict[str, float] | None = None


class ErrorSchema(BaseModel):
    """What went wrong. Whole answers also carry `request_id`, and refusals `retry_after_s`."""

    code: int
    type: str
    message: str
    request_id: str | None = None
    retry_after_s: int | None = None


class ResultSchema(BaseModel):
    """The answer to one text; in a list, `error` stands in the place of a record that could not be answered."""

    id: str | float | bool | None = None
    text: str | None = None
    aspects: list[AspectSchema] = []
    truncated: bool = False
    error: ErrorSchema | None = None


class ResultsSchema(BaseModel):
    """The answer to a list of texts, in its order."""

    results: list[ResultSchema]


_OFFSET = {"type": ["integer", "null"], "minimum": 0}
_MODEL = {"type": "string", "description": "path below ABSA_MODEL_STORE; of the request, not of one record"}
_PARAMETERS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "mode": {"enum": ["chain", "aspects", "sentiment"], "default": "chain"},
        "min_score": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
        "offsets": {"enum": ["codepoint", "utf16"], "default": "codepoint"},
        "return_text": {"type": "boolean"},
        "model": _MODEL,
        "aspect_model": _MODEL,
        "sentiment_model": _MODEL,
        "stream": {"type": "boolean", "default": False},
    },
}
_ASPECT = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "properties": {"start": _OFFSET, "end": _OFFSET, "term": {"type": "string"}}},
    ]
}
_FIELDS = {
    "id": {"type": ["string", "number", "boolean", "null"]},
    "text": {"type": "string", "example": "The battery life is great, but the screen is dim."},
    "aspects": {"type": "array", "items": _ASPECT, "description": "rated instead of found, where given"},
    "parameters": _PARAMETERS,
}
_RECORD = {"type": "object", "required": ["text"], "additionalProperties": False, "properties": _FIELDS}
_RECORDS = {"type": "array", "items": {"anyOf": [{"type": "string"}, _RECORD]}}


def _list_named(name: str) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: _RECORDS, "parameters": _PARAMETERS}}


INVOCATIONS_OPENAPI: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [_RECORD, *map(_list_named, ("inputs", "texts", "instances", "results"))]}
            },
            "application/jsonlines": {"schema": _RECORD},
            "text/csv": {"schema": {"type": "string"}},
            "text/plain": {"schema": {"type": "string"}},
        },
    }
}
