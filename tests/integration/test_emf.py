"""Lines for CloudWatch from real servers: `make drill-emf` in small, several models, switched off."""

import json

import httpx

from tests.drills.emf import GOAL_BYTES, TEXTS, drill
from tests.telemetry.emf_rules import check_line

EVERY_S = "3600"


def test_emf_drill_in_small(tiny_models, tmp_path):
    """Lines of one interval or of several add up to what `/metrics` says; one interval's cost under 20 kB."""
    once = drill(tiny_models, TEXTS, tmp_path, count=50, interval_s=3600)
    assert (once.different, once.lines) == ([], 2)
    assert once.bytes < 1000 * GOAL_BYTES
    assert once.written["Requests"] == (50, 50)
    assert drill(tiny_models, TEXTS, tmp_path, count=50, interval_s=1).different == []


def emf_lines(server) -> list[dict]:
    return [check_line(f"{line}\n".encode()) for line in server.log.splitlines() if "CloudWatchMetrics" in line]


def test_each_model_of_a_multi_model_endpoint_has_its_line(start_server, tiny_models):
    """Two models, one place for a name: the second is counted with the others; loads and unloads are the server's."""
    variables = {"SAGEMAKER_MULTI_MODEL": "true", "ABSA_EMF_INTERVAL_S": EVERY_S, "ABSA_METRICS_MODELS": "1"}
    variables |= {"ABSA_ENGINE": "torch", "ABSA_EMF_DIMENSIONS": "Endpoint=absa"}
    with (
        start_server(None, variables) as server,
        httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http,
    ):
        for name, texts in (("a", 1), ("b", 2)):
            load = {"model_name": name, "url": str(tiny_models)}
            assert http.post("/models", json=load).status_code == 200
            assert http.post(f"/models/{name}/invoke", json={"inputs": TEXTS[:texts]}).status_code == 200
        assert http.delete("/models/a").status_code == 200
    lines = {line.get("Model"): line for line in emf_lines(server)}
    assert {model: line.get("Texts") for model, line in lines.items()} == {"a": 1, "other": 2, None: None}
    assert (lines[None]["ModelLoads"], lines[None]["ModelUnloads"], lines[None]["Requests"]) == (2, 1, 2)
    assert lines[None]["Endpoint"] == "absa"


def test_interval_of_zero_writes_no_line(start_server, tiny_models):
    """Switched off, the log has the server's events alone."""
    with start_server(tiny_models, {"ABSA_EMF_INTERVAL_S": "0", "ABSA_ENGINE": "torch"}) as server:
        assert httpx.post(f"{server.url}/invocations", json={"text": TEXTS[0]}, trust_env=False).status_code == 200
    assert emf_lines(server) == []
    assert all(isinstance(json.loads(line), dict) for line in server.log.splitlines())
