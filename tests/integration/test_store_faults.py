"""The drill of S3's faults in small: the same code on tiny models."""

from pathlib import Path

from tests.drills.fault_stand import Models, read_files
from tests.drills.faults import KEYS, LASTING, PASSING, REFUSED, drill
from tests.integration.server_process import cache_folder


def test_faults_of_s3_in_small(s3_url, tiny_models, tmp_path):
    """Each fault is what callers must see; 32 of a cold model are one fetch and one load; nothing is left behind."""
    outcomes = drill(Models(read_files(tiny_models), padding=9 << 20), tmp_path, Path(cache_folder()))
    assert [outcome for outcome in outcomes if not outcome.is_right] == []
    assert len(outcomes) == 1 + len(PASSING) + len(REFUSED) + 1 + 2 + len(LASTING) + 1 + len(KEYS) + 1
