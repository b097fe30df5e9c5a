"""An artifact's own models as its code sees them: records and results as plain dicts, as docs/api.md shows them."""

from collections.abc import Callable, Sequence

from absa_server.absa.pipeline import Pipeline
from absa_server.errors import InvalidRequest
from absa_server.http.limits import Limits
from absa_server.http.offset_units import Utf16Index
from absa_server.http.parameters import DEFAULTS, changed_parameters
from absa_server.http.records import RecordError, parse_record
from absa_server.http.rendering import result_fields
from absa_server.http.wording import Place
from absa_server.types import Analysis, GivenAspect, Record

Run = Callable[[Pipeline, Sequence[Record]], list[Analysis | InvalidRequest]]


class PipelineModel:
    """`model(records)`: callable from any thread but the event loop's."""

    def __init__(self, pipeline: Pipeline, limits: Limits, run: Run) -> None:
        """`run` answers records, and may wait for that."""
        self._pipeline = pipeline
        self._limits = limits
        self._run = run

    def __call__(self, records: object) -> object:
        """A result for each record of a list, in order; one result for one record. A record is a dict or a text.

        A record that cannot be answered has `{"error": …}` as its result. Raises `EngineFailed`, `DeadlineExceeded`.
        """
        if not isinstance(records, list | tuple):
            return self._answer([records])[0]
        return self._answer(records)

    def _answer(self, values: Sequence[object]) -> list[dict[str, object]]:
        parsed = [
            parse_record(value, place=Place(f"records[{i}]"), defaults=DEFAULTS, limits=self._limits)
            for i, value in enumerate(values)
        ]
        readable = [record for record in parsed if isinstance(record, Record)]
        analyses = iter(self._run(self._pipeline, readable) if readable else ())
        return [
            result_fields(
                next(analyses) if isinstance(record, Record) else record,
                record,
                DEFAULTS,
                text_by_default=self._pipeline.is_aspect_only,
                repeat_parameters=self._pipeline.is_aspect_only,
            )
            for record in parsed
        ]


def record_fields(record: Record | RecordError) -> dict[str, object]:
    """A record as a dict that `PipelineModel` reads back: what it was in the request, its parameters resolved."""
    fields: dict[str, object] = {} if record.id is None else {"id": record.id}
    if isinstance(record, RecordError):
        return fields | {"error": {"code": record.code, "type": record.type, "message": record.message}}
    fields["text"] = record.text
    if record.aspects is not None:
        in_unit = Utf16Index(record.text).to_utf16 if record.parameters.offsets == "utf16" else int
        fields["aspects"] = [_aspect_fields(aspect, in_unit) for aspect in record.aspects]
    if record.truncated:
        fields["truncated"] = True
    if changed := changed_parameters(record.parameters):
        fields["parameters"] = changed
    return fields


def _aspect_fields(aspect: GivenAspect, in_unit: Callable[[int], int]) -> dict[str, object]:
    fields: dict[str, object] = {
        "term": aspect.term,
        "start": None if aspect.start is None else in_unit(aspect.start),
        "end": None if aspect.end is None else in_unit(aspect.end),
        "score": aspect.score,
        "category": aspect.category,
        "label": aspect.label,
    }
    return {name: value for name, value in fields.items() if value is not None}
