"""The drills of the local platform in small: the same code on tiny models for seconds, without the figures."""

import pytest

from tests.drills import containers, instances, results, sagemaker, transform
from tests.drills.platform import images

TEXTS = ["The food was great, but the service was slow.", "Never again.", "I love the screen of the laptop."] * 4


def test_sagemaker_drill_in_small(tiny_models, tmp_path):
    """Every way to call comes back as the contract says, and the pipeline answers as one container does."""
    rows, comparison = sagemaker.drill(tiny_models, TEXTS, tmp_path, threads="1")
    assert len(rows) == 11
    assert [row for row in rows if not row.is_right] == []
    assert comparison.different == 0
    assert comparison.largest_difference <= sagemaker.TOLERANCE


def test_instances_drill_in_small(tiny_models, tmp_path):
    """SIGTERM loses no request, SIGKILL only those in flight there, and both instances are replaced."""
    terminated, killed = instances.drill(tiny_models, tmp_path, clients=4, threads="1", seconds=0.5)
    assert terminated.lost == 0
    assert killed.lost <= killed.in_flight


def test_transform_drill_in_small(tiny_models, tmp_path):
    """Fifty broken lines among two hundred: a line for each, in order, fifty errors."""
    assert len(set(transform.BROKEN)) == 50
    outcome = transform.drill(tiny_models, TEXTS, tmp_path, count=200, threads="1")
    assert (outcome.lines_out, outcome.errors) == (200, outcome.broken)
    assert outcome.is_right


@pytest.mark.usefixtures("s3")
def test_results_drill_in_small(tiny_models, tmp_path):
    """S3 stands still when a killed server comes back: every acknowledged answer is there once, none was dropped."""
    one = {"OMP_NUM_THREADS": "1"}
    outcome = results.drill(
        tiny_models, TEXTS, tmp_path, count=150, clients=2, pause_s=0.3, is_paused_at_restart=True, environment=one
    )
    assert outcome.acknowledged >= 150
    assert outcome.requests_paused > 0
    assert (outcome.missing, outcome.doubled, outcome.dropped) == (0, 0, 0)
    assert outcome.is_right


def test_containers_drill_with_processes(tiny_models, tmp_path):
    """The drill that .ci/run does with the image, here with processes of the same server."""
    row, comparison = containers.drill(images("1")["absa"], tiny_models, tmp_path)
    assert row.is_right
    assert comparison.different == 0
    assert comparison.largest_difference <= sagemaker.TOLERANCE
