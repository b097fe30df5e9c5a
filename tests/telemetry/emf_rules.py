"""What CloudWatch asks of an EMF line: the published schema, and the limits that the schema does not tell.

The schema is AWS's, written down from the specification's page; a distribution is an object as CloudWatch's own
collector writes it, with at most 150 values (PutMetricData's limit), of which the specification's arrays allow 100.
"""

import json
import math
from pathlib import Path
from typing import Any

import jsonschema

SCHEMA = json.loads((Path(__file__).parent / "emf_schema.json").read_text(encoding="utf-8"))
MOST_BYTES = 256 * 1024
MOST_VALUES = 100
MOST_DIMENSION_CHARS = 1024
DISTRIBUTION = {"Values", "Counts", "Min", "Max", "Sum", "Count"}


def check_line(line: bytes) -> dict[str, Any]:
    """The document of one line. Raises AssertionError or ValidationError for what CloudWatch would drop."""
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) <= MOST_BYTES
    document: dict[str, Any] = json.loads(line)
    jsonschema.validate(document, SCHEMA)
    for directive in document["_aws"]["CloudWatchMetrics"]:
        assert directive["Metrics"], "a directive without metrics is a line for nothing"
        names = [metric["Name"] for metric in directive["Metrics"]]
        assert len(set(names)) == len(names)
        for dimensions in directive["Dimensions"]:
            for name in dimensions:
                value = document[name]
                assert isinstance(value, str)
                assert 0 < len(value.strip()) <= MOST_DIMENSION_CHARS
                assert value.isascii()
                assert value.isprintable()
                assert value[0] != ":"
        for name in names:
            _check_target(document[name])
    return document


def _check_target(value: Any) -> None:
    if not isinstance(value, dict):
        _check_number(value)
        return
    assert set(value) == DISTRIBUTION
    assert 1 <= len(value["Values"]) == len(value["Counts"]) <= MOST_VALUES
    for number in (*value["Values"], *value["Counts"], value["Min"], value["Max"], value["Sum"], value["Count"]):
        _check_number(number)
    assert all(count > 0 for count in value["Counts"])
    assert sum(value["Counts"]) == value["Count"]
    assert len(set(value["Values"])) == len(value["Values"])
    assert value["Min"] == min(value["Values"])
    assert value["Max"] == max(value["Values"])


def _check_number(value: Any) -> None:
    assert isinstance(value, int | float)
    assert not isinstance(value, bool)
    assert math.isfinite(value)
