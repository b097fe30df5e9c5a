"""What is kept of an answer: a line of JSON for each of its texts, put into the spool before the answer is sent.

The lines hold what the caller saw, under the ids by which a caller, a log and a model's owner look for it. Whether the
text itself is kept is its owner's choice: the hash alone joins a line to a text that somebody else holds.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from starlette.requests import Request

from absa_server.absa.pipeline import Pipeline
from absa_server.http.middleware import inference_id_of, request_id_of
from absa_server.http.records import RecordError
from absa_server.http.rendering import Result, result_fields
from absa_server.http.requests import ParsedRequest
from absa_server.http.sagemaker_headers import TARGET_MODEL
from absa_server.serving.results.writer import SpoolWriter
from absa_server.serving.served_model import ServedModel
from absa_server.types import Parameters, Record


@dataclass(frozen=True, slots=True)
class Occasion:
    """Which request was answered, when, how fast, and by what. `received_s` is Unix time.

    `models`: role to `name@version`; on a multi-model endpoint also `target_model`, the caller's name.
    """

    request_id: str
    inference_id: str | None
    received_s: float
    seconds: float
    models: dict[str, str]


@dataclass(frozen=True, slots=True)
class KeptResults:
    """The answers' way into the spool. `with_text`: the texts themselves, not only their hashes."""

    writer: SpoolWriter
    with_text: bool

    async def keep(
        self, results: Sequence[Result], request: ParsedRequest, occasion: Occasion, *, first: int = 0
    ) -> None:
        """Returns when the answer is in the spool. Raises `ResultsUnavailable` where it must be and cannot."""
        await self.writer.keep(kept_lines(results, request, occasion, with_text=self.with_text, first=first))

    async def keep_one(self, number: int, result: Result, record: Record | RecordError, occasion: Occasion) -> None:
        """As `keep`, for one record of a streamed answer; `number` counts it from 0."""
        await self.writer.keep([_line(number, result, record, _head(occasion), with_text=self.with_text)])


def kept_lines(
    results: Sequence[Result], request: ParsedRequest, occasion: Occasion, *, with_text: bool, first: int = 0
) -> list[bytes]:
    """A line for each of the request's records, in their order; `record` counts them from `first`."""
    head = _head(occasion)
    pairs = zip(results, request.records, strict=True)
    return [_line(number, *pair, head, with_text=with_text) for number, pair in enumerate(pairs, start=first)]


def _head(occasion: Occasion) -> dict[str, object]:
    return {
        "request_id": occasion.request_id,
        "inference_id": occasion.inference_id,
        "received_at": datetime.fromtimestamp(occasion.received_s, UTC).isoformat(timespec="milliseconds"),
        "milliseconds": round(occasion.seconds * 1000, 1),
        "models": occasion.models,
    }


def _line(
    number: int, result: Result, record: Record | RecordError, head: Mapping[str, object], *, with_text: bool
) -> bytes:
    answer = result_fields(result, record, Parameters(), text_by_default=False, repeat_parameters=True)
    answer.pop("text", None)
    shown = {} if isinstance(record, RecordError) else _input(record.text, with_text=with_text)
    return orjson.dumps({**head, "record": number} | shown | answer) + b"\n"


def _input(text: str, *, with_text: bool) -> dict[str, object]:
    # Lone surrogates are legal in JSON strings; they have no UTF-8 of their own.
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return {"input_sha256": digest, "text": text} if with_text else {"input_sha256": digest}


def is_first_half(pipeline: Pipeline, parameters: Parameters) -> bool:
    """Whether another container goes on with this answer: in a pipeline only the last one keeps it."""
    return pipeline.is_aspect_only and parameters.mode == "chain"


def occasion_of(request: Request, seconds: float, model: ServedModel) -> Occasion:
    """The request as it is told with each of its results; `seconds` is what it has taken."""
    models = dict(model.models)
    if (target := request.headers.get(TARGET_MODEL)) is not None:
        models["target_model"] = target  # of a multi-model endpoint: the caller's name for what has an opaque one here
    request_id, inference_id = request_id_of(request.scope), inference_id_of(request.scope)
    return Occasion(request_id, inference_id, time.time() - seconds, seconds, models)
