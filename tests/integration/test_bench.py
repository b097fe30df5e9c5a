"""`absa bench` as it is typed, against a real server over tiny models: every figure is there; none is asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_models import write_sentences

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    file = tmp_path_factory.mktemp("texts") / "texts.txt"
    file.write_text("\n".join(sentence.text for sentence in write_sentences(64)))
    return file


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "bench.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_bench_measures_a_running_server(server, texts, tmp_path):
    """Closed loop, open loop and a knee, with the server's own cost, as JSON and picture."""
    out, picture = tmp_path / "bench.json", tmp_path / "bench.png"
    done = bench(
        "--url", server.url, "--pid", str(server.pid), "--texts", str(texts), "--seconds", "0.3", "--warm", "0.2",
        "--concurrency", "1,4", "--rates", "20", "--slo-ms", "5000", "--max-minutes", "0.1",
        "--texts-per-request", "2", "--out", str(out), "--picture", str(picture),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(out.read_text())
    assert document["schema"] == "absa-bench/1"
    assert document["texts_per_request"] == 2
    loads = [(cell["concurrency"], cell["offered_rps"]) for cell in document["cells"]]
    assert loads[:3] == [(1, None), (4, None), (None, 20.0)]
    assert all(cell["server_cpu_s_per_1000_texts"] > 0 for cell in document["cells"][:3])
    assert [cell["errors"] for cell in document["cells"][:3]] == [{}, {}, {}]
    assert document["memory"]["peak_resident_bytes"] >= document["memory"]["proportional_bytes"] > 0
    assert len(document["knees"]) == 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "texts/s" in done.stdout


def test_bench_says_what_is_wrong_when_nobody_answers(texts, tmp_path):
    """No server is one line and exit code 1, no traceback, no file."""
    done = bench("--url", "http://127.0.0.1:9", "--texts", str(texts), "--out", str(tmp_path / "bench.json"))
    assert done.returncode == 1
    assert "no answer" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "bench.json").exists()


def test_bench_wants_one_of_url_and_model_dir(texts):
    """Neither, or both, is a usage error."""
    assert bench("--texts", str(texts)).returncode == 2
