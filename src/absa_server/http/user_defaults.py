"""The steps of a request that a script without `model_fn` leaves open: our formats in, our models, our formats out."""

import csv
import io
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import orjson

from absa_server.errors import UserCodeFailed
from absa_server.http.limits import Limits
from absa_server.http.media_types import CSV, JSON, default_type, negotiate
from absa_server.http.requests import ParsedRequest, parse_request
from absa_server.http.user_model import record_fields
from absa_server.user_code.functions import SCRIPT
from absa_server.user_code.transformer import Defaults


class RequestDefaults:
    """Of one request: what it was read as decides the shape of its answer. Used by one thread."""

    def __init__(
        self, *, limits: Limits, custom_attributes: str | None, default_accept: str | None, is_batch: bool
    ) -> None:
        self._parse = partial(parse_request, custom_attributes=custom_attributes, limits=limits, is_batch=is_batch)
        self._configured = default_accept
        self._is_batch = is_batch
        self._parsed: ParsedRequest | None = None

    def as_defaults(self) -> Defaults:
        """The three steps."""
        return Defaults(self.read, self.predict, self.write)

    def read(self, body: str | bytes, content_type: str) -> list[dict[str, object]]:
        """A dict for each record. Raises `InvalidRequest`, `UnsupportedMediaType`."""
        content = body.encode() if isinstance(body, str) else body
        self._parsed = self._parse(content, content_type=content_type)
        return [record_fields(record) for record in self._parsed.records]

    def predict(self, data: object, model: Any) -> object:  # noqa: ANN401  a callable, or whatever model_fn returned
        """What the artifact's own models say."""
        return model(data)

    def write(self, prediction: object, accept: str) -> Any:  # noqa: ANN401  a body and its type, as the toolkit wants
        """The answer in the shape of the request, and its type. Raises `NotAcceptable`, `UserCodeFailed`."""
        parsed = self._parsed
        read_as = JSON if parsed is None else parsed.media_type
        media_type = negotiate(accept, default_type(self._configured, read_as, is_batch=self._is_batch))
        results = self._results(prediction)
        if media_type == CSV:
            return _csv(results), media_type
        is_by_line = media_type != JSON or (parsed is not None and parsed.is_by_line)
        if is_by_line:
            return b"".join(_json(result) + b"\n" for result in results), media_type
        is_list = isinstance(prediction, list) if parsed is None else parsed.shape != "single"
        return _json({"results": results} if is_list else results[0]), media_type

    def _results(self, prediction: object) -> Sequence[object]:
        if self._parsed is None:
            return prediction if isinstance(prediction, list) else [prediction]
        count = len(self._parsed.records)
        if not isinstance(prediction, list) or len(prediction) != count:
            got = f"a list of {len(prediction)}" if isinstance(prediction, list) else type(prediction).__name__
            raise UserCodeFailed(f"{SCRIPT}: predict_fn: expected a list of {count} results, one a record, got {got}")
        return prediction


def _json(value: object) -> bytes:
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError


def _csv(results: Sequence[object]) -> bytes:
    """A row for each result: its id, where any has one, and its aspects, its error, or else all of it as JSON."""
    rows = [result if isinstance(result, dict) else {} for result in results]
    has_ids = any(row.get("id") is not None for row in rows)
    page = io.StringIO(newline="")
    writer = csv.writer(page, lineterminator="\n")
    for result, row in zip(results, rows, strict=True):
        error, aspects, record_id = (row.get(name) for name in ("error", "aspects", "id"))
        cell = {"error": error} if error is not None else result if aspects is None else aspects
        shown = record_id if isinstance(record_id, str) else "" if record_id is None else _json(record_id).decode()
        writer.writerow([*([shown] if has_ids else []), _json(cell).decode()])
    return page.getvalue().encode()
