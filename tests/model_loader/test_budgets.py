"""Limits as the kernel tells them, read from files that a test writes."""

import os
import shutil

import pytest

from model_loader.budgets import disk_budget_bytes, memory_budget_bytes, memory_limit_bytes, resident_bytes

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
MIB = 1 << 20


@pytest.mark.parametrize(
    ("v2", "v1", "limit"),
    [
        ("1073741824\n", None, 1 << 30),
        ("max\n", None, MACHINE),
        (None, "536870912\n", 512 << 20),
        (None, "9223372036854771712\n", MACHINE),
        ("1073741824\n", "536870912\n", 512 << 20),
        (None, None, MACHINE),
        ("nonsense\n", "0\n", MACHINE),
    ],
)
def test_memory_limit_is_the_least_that_is_told(tmp_path, v2, v1, limit):
    """cgroup v2, v1, both or neither; never more than the machine has."""
    files = {name: tmp_path / name for name in ("v2", "v1")}
    for name, text in (("v2", v2), ("v1", v1)):
        if text is not None:
            files[name].write_text(text)
    assert memory_limit_bytes(v2=files["v2"], v1=files["v1"]) == limit


def test_memory_limit_of_this_machine_is_sane():
    """Whatever this machine is, the limit lies between something and all it has."""
    assert 64 * MIB < memory_limit_bytes() <= MACHINE


def test_memory_budget_is_a_share_beside_the_reserve():
    """The process's own part is left out first; a tiny container gets nothing, not less."""
    assert memory_budget_bytes(1000 * MIB, share=0.5, reserve_bytes=200 * MIB) == 400 * MIB
    assert memory_budget_bytes(100 * MIB, share=0.5, reserve_bytes=200 * MIB) == 0


def test_disk_budget_counts_what_the_cache_already_holds(tmp_path):
    """The folder need not exist; what it holds counts as its own, and the budget stays below the file system's size."""
    folder = tmp_path / "not" / "there"
    usage = shutil.disk_usage(tmp_path)
    assert 0 < disk_budget_bytes(folder, share=0.5) <= usage.total * 0.5
    assert disk_budget_bytes(tmp_path, share=1.0) <= usage.total


def test_resident_bytes_follow_memory_in_use():
    """64 MiB more in use are seen, and a system without /proc tells 0."""
    before = resident_bytes()
    if not before:
        pytest.skip("no /proc/self/status on this system")
    held = bytearray(os.urandom(64)) * MIB
    assert resident_bytes() - before > 60 * MIB
    assert len(held) == 64 * MIB


def test_resident_bytes_leave_out_mapped_files(tmp_path):
    """Anonymous and shared pages count, file pages do not; nothing to read is 0."""
    status = tmp_path / "status"
    status.write_text("Name:\tx\nRssAnon:\t    100 kB\nRssFile:\t    900 kB\nRssShmem:\t    4 kB\n")
    assert resident_bytes(status=status) == 104 * 1024
    assert resident_bytes(status=tmp_path / "absent") == 0
