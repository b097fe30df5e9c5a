"""Cores this process may use: what the cgroup grants, in both of its versions."""

from pathlib import Path

import pytest

from absa_server.engines.cores import _quota, available_cores


@pytest.mark.parametrize(
    ("text", "cores"), [("max 100000\n", None), ("150000 100000\n", 1.5), ("50000 100000", 0.5), ("", None)]
)
def test_quota_of_version_two(text: str, cores: float | None, tmp_path: Path) -> None:
    """One file, quota and period; `max` is no limit, and nonsense none either."""
    (tmp_path / "cpu.max").write_text(text)
    assert _quota(tmp_path / "cpu.max", tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1\n", None), ("200000\n", 2.0)])
def test_quota_of_version_one(quota: str, cores: float | None, tmp_path: Path) -> None:
    """Two files; -1 is no limit."""
    (tmp_path / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    assert _quota(tmp_path / "cpu.max", tmp_path) == cores


def test_no_cgroup_is_no_limit(tmp_path: Path) -> None:
    """Without either file all cores of the affinity count."""
    assert _quota(tmp_path / "cpu.max", tmp_path) is None
    assert available_cores() >= 1
