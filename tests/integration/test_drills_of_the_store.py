"""The drills of the model store in small: the same code on tiny models for seconds, without the figures."""

import pytest

from tests.drills import cold, kill, reload, unload, zipf
from tests.drills.many_models import pack_base
from tests.tiny_models import build_tiny_models


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """An artifact of networks alone. Not of the trained models: far from ties, theirs differ too little to be told."""
    work = tmp_path_factory.mktemp("base")
    return pack_base(build_tiny_models(work / "models", epochs=0), work, is_measured=False)


def test_zipf_drill_in_small(base, tmp_path):
    """No error, every answer that of a fresh load, and with one caller exactly the hits of a byte-weighted LRU."""
    plan = zipf.Plan(models=8, requests=40, concurrency=4, in_memory=4, on_disk=6)
    many, one = zipf.drill(plan, tmp_path, [base])
    assert (many.errors, many.wrong, one.errors, one.wrong) == (0, 0, 0, 0)
    assert one.ratio == one.lru
    assert one.evictions > 0


def test_unload_drill_in_small(base, tmp_path):
    """A model comes and goes over the multi-model API; memory is told of every round."""
    outcome = unload.drill(base.folder, tmp_path, count=unload.WARM + 4, requests=1)
    assert len(unload.rows(outcome)) == 7
    assert all(one.loaded > 0 for one in outcome.rounds)


def test_kill_drill_in_small(s3_url, base, tmp_path):
    """After each death the next server finds nothing half-written, counts what lies there, and answers rightly."""
    done = kill.drill(2, tmp_path, [base], slow_s=0.1)
    assert [one for one in done if not one.is_right or one.leftovers or one.uncounted_bytes] == []
    assert len(done) == 2


def test_cold_drill_in_small(base, tmp_path):
    """A hot model answers in both kinds of windows, while every request for a cold one is a load; figures by hand."""
    outcome = cold.drill(base, tmp_path, cold.Times(window_s=1.0, windows=2, knee_s=0.5, knee_rates=2))
    assert (len(outcome.quiet), len(outcome.loud), outcome.errors) == (2, 2, 0)
    assert outcome.cold_loads > 0


def test_reload_drill_in_small(s3_url, base, tmp_path):
    """Every request for a model out of memory is a load, from S3 and then from disk; a fetch is timed beside a GET."""
    found = reload.answers(base, tmp_path, models=3)
    assert found.loads == found.asked == 6
    fetched = reload.fetches(base, tmp_path, size_bytes=9 << 20, rounds=1)
    assert fetched.archive_bytes >= 8 << 20
    assert fetched.speed > 0
