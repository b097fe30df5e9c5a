"""Reading what `absa bench` wrote."""

import json

import pytest

from absa_server.capacity.errors import InvalidLoadTest
from absa_server.capacity.load_test import read_load_test

CELLS = [
    {"concurrency": 1, "throughput_rps": 20.0, "p50_ms": 50.0},
    {"concurrency": 32, "throughput_rps": 120.0, "p50_ms": 260.0},
    {"concurrency": None, "throughput_rps": 500.0, "p50_ms": 1.0},
]
KNEES = [
    {"slo_ms": 1000.0, "max_rps": 100.0, "mean_ms": 80.0},
    {"slo_ms": 300.0, "max_rps": 70.0, "mean_ms": 60.0},
    {"slo_ms": 10.0, "max_rps": None, "mean_ms": None},
]


def write(tmp_path, **changes):
    file = tmp_path / "bench.json"
    document = {"schema": "absa-bench/1", "texts_per_request": 2, "cells": CELLS, "knees": KNEES} | changes
    file.write_text(json.dumps(document))
    return file


def test_instance_is_read_by_its_strictest_knee_or_the_one_named(tmp_path):
    """Capacity is the closed loop's most, service the median alone, slots what both make."""
    file = write(tmp_path)
    found = read_load_test(file)
    assert (found.max_rps, found.capacity_rps, found.service_s, found.slo_ms) == (70, 120, 0.05, 300)
    assert (found.slots, found.slot_rps, found.reviews_per_request) == (6, 20, 2)
    assert read_load_test(file, slo_ms=1000).max_rps == 100


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"schema": "other/1"}, "schema"), ({"knees": KNEES[2:]}, "knee"), ({"cells": CELLS[1:]}, "concurrency 1"),
        ({"texts_per_request": 0}, "texts_per_request"), ({"cells": "x"}, "cells"),
    ],
)  # fmt: skip
def test_document_that_cannot_be_planned_from_is_refused(tmp_path, changes, named):
    """The message names the file and what is missing in it."""
    with pytest.raises(InvalidLoadTest, match=rf"bench\.json.*{named}"):
        read_load_test(write(tmp_path, **changes))
