"""`absa plan` as it is typed: the drill in small, and what it says when something is wrong."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ASSUMED = str(ROOT / "tests" / "drills" / "assumed_instance.json")


def plan(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "plan.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_plan_gives_fleet_bill_and_picture(tmp_path):
    """One command: JSON and PNG, with the warning that the prices are examples."""
    out, picture = tmp_path / "plan.json", tmp_path / "burst.png"
    done = plan(
        "--bench", ASSUMED, "--rate", "500", "--burst-minutes", "1", "--out", str(out), "--picture", str(picture)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(out.read_text())
    assert document["schema"] == "absa-plan/1"
    assert document["fleet"]["instances"] == 11
    assert document["monthly_bill"]["total"] > 0
    assert document["burst"]["most_in_system"] > 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "examples that nobody has checked" in done.stdout


def test_prices_are_written_and_read_back(tmp_path):
    """The file that `--write-prices` writes is one that `--prices` reads."""
    prices = tmp_path / "prices.yaml"
    assert plan("--write-prices", str(prices)).returncode == 0
    assert plan("--bench", ASSUMED, "--rate", "500", "--prices", str(prices)).returncode == 0


def test_impossible_plan_is_one_line(tmp_path):
    """A limit below what an idle instance takes: exit code 1 and the reason, no traceback."""
    done = plan("--bench", ASSUMED, "--latency-ms", "50")
    assert done.returncode == 1
    assert "no fleet can do better" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stderr
