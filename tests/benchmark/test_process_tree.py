"""CPU and memory of real processes."""

import os
import subprocess
import sys
import time

from absa_server.benchmark import process_tree
from absa_server.benchmark.process_tree import ProcessWatch

# A parent that starts a child; both hold still until they are told to work, and stay until their input ends.
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.readline()
child.stdin.close()
print(child.wait(), flush=True)
sys.stdin.readline()
"""
CHILD = """
import sys, time
memory = bytearray(50_000_000)
memory[::4096] = b"x" * len(memory[::4096])
sys.stdin.read()
while time.process_time() < 0.3: pass
"""


def test_tree_counts_children_while_they_run_and_after():
    """Memory is that of parent and child; the CPU time of a child that has ended is not lost."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        child = int(parent.stdout.readline())
        assert set(process_tree.tree(parent.pid)) == {parent.pid, child}
        deadline = time.monotonic() + 30
        while process_tree.proportional_bytes(parent.pid) < 50_000_000:
            assert time.monotonic() < deadline
        with ProcessWatch(parent.pid) as watch:
            watch.begin()
            parent.stdin.write("\n")
            parent.stdin.flush()
            assert parent.stdout.readline().strip() == "0"
            assert watch.usage().cpu_s >= 0.2
            assert watch.memory().peak_resident_bytes > 0
        assert process_tree.tree(parent.pid) == [parent.pid]
    finally:
        parent.kill()
        parent.communicate()


def test_ended_process_has_no_tree():
    """A process that is gone costs nothing and is no error."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert process_tree.tree(gone.pid) == []
    assert process_tree.cpu_s(gone.pid) == 0
    assert process_tree.tree(os.getpid())[0] == os.getpid()
