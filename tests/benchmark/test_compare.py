"""The work folder of the comparison: what is copied, filled in and lent, without running it."""

import subprocess
import tomllib

import pytest

from tests.drills.peers.compare import CHECKOUT, OURS, lend_environment, prepare


@pytest.fixture
def peers(tmp_path):
    folder = tmp_path / "peers"
    (folder / "contestants" / "naive").mkdir(parents=True)
    (folder / "bench.py").write_text("")
    (folder / "contestants" / "naive" / "requirements.txt").write_text("torch\n")
    return folder


def specs(folder):
    files = sorted((folder / "contestants").glob("absa*/contestant.toml"))
    return {file.parent.name: tomllib.loads(file.read_text()) for file in files}


def test_contestants_are_added_and_filled_in(peers, tmp_path):
    """All of ours, with this checkout and the int8 artifact in place of the marks; the original stays as it was."""
    found = specs(prepare(peers, tmp_path / "work", int8=tmp_path / "int8"))
    assert set(found) == set(OURS)
    assert found["absa"]["env"]["PYTHONPATH"] == f"{CHECKOUT}/src:{CHECKOUT}"
    assert f"{tmp_path}/int8/." in found["absa-int8"]["prepare"][1]
    assert len({spec["port"] for spec in found.values()}) == len(OURS)
    assert specs(peers) == {}


def test_all_ours_start_alike(peers, tmp_path):
    """One start command; environments differ in precision alone."""
    found = specs(prepare(peers, tmp_path / "work", int8=tmp_path)).values()
    assert len({tuple(spec["start"]) for spec in found}) == 1
    assert {frozenset(spec["env"]) - {"ABSA_PRECISION"} for spec in found} == {frozenset({"PYTHONPATH"})}


def test_only_int8_and_sentence_context_may_differ_from_the_reference(peers, tmp_path):
    """Their answers are gated by their scores; all others must pass bench.py's own check."""
    found = specs(prepare(peers, tmp_path / "work", int8=tmp_path))
    assert {name for name, spec in found.items() if "max_differ" in spec} == {"absa-int8", "absa-sentence"}
    assert "absa-int8" not in specs(prepare(peers, tmp_path / "work", int8=None))


def test_lent_environment_has_our_packages_and_the_stamp(peers, tmp_path):
    """A lent environment imports what this one has, and bench.py finds it installed."""
    lend_environment(peers, tmp_path, "naive")
    folder = tmp_path / "venv" / "naive"
    code = "import importlib.metadata as m; print(m.version('absa-server'))"
    done = subprocess.run([folder / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip()
    assert len((folder / "installed").read_text()) == 64
