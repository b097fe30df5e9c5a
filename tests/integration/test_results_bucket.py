"""Answers that are kept: every one that was sent lies in the bucket, whatever became of the server and of S3."""

import gzip
import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.conftest import StartServer
from tests.integration.server_process import ServerProcess

TEXT = "The food was great, but the service was slow."
NOBODY = "http://127.0.0.1:9"  # the discard port: refuses at once


def environment(bucket: str, spool: Path, **more: str) -> dict[str, str]:
    return {
        "ABSA_RESULTS_S3_URI": f"s3://{bucket}/answers",
        "ABSA_RESULTS_SPOOL_DIR": str(spool),
        **{name: value for name, value in os.environ.items() if name.startswith("AWS_")},
        **more,
    }


def invoke(server: ServerProcess, body: object, **headers: str) -> httpx.Response:
    return httpx.post(f"{server.url}/invocations", json=body, headers=headers, trust_env=False, timeout=30)


def kept(s3: Any, bucket: str) -> list[dict[str, Any]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="answers/")
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
    bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
    return [json.loads(line) for body in bodies for line in gzip.decompress(body).splitlines()]


def test_answers_are_in_the_bucket_after_sigterm(start_server: StartServer, tiny_models, tmp_path: Path, s3, bucket):
    """Each text of each answer is one line, with the ids that its caller and the log know it by."""
    with start_server(tiny_models, environment(bucket, tmp_path)) as server:
        single = invoke(server, {"text": TEXT, "id": 7}, **{"X-Amzn-SageMaker-Inference-Id": "order-1"})
        several = invoke(server, {"texts": [TEXT, "", TEXT]})
    assert single.headers["x-request-id"] == "order-1"
    lines = {(line["request_id"], line["record"]): line for line in kept(s3, bucket)}
    assert set(lines) == {("order-1", 0), *((several.headers["x-request-id"], n) for n in range(3))}
    first = lines["order-1", 0]
    assert (first["inference_id"], first["id"], first["aspects"]) == ("order-1", 7, single.json()["aspects"])
    assert first["input_sha256"] == hashlib.sha256(TEXT.encode()).hexdigest()
    assert "text" not in first
    assert {role: digest.partition(":")[0] for role, digest in first["models"].items()} == {
        "aspect": "sha256",
        "sentiment": "sha256",
    }
    assert lines[several.headers["x-request-id"], 1]["error"]["code"] == 400
    assert list(tmp_path.iterdir()) == []


def test_texts_are_kept_where_their_owner_wants_it(start_server: StartServer, tiny_models, tmp_path: Path, s3, bucket):
    """ABSA_RESULTS_INPUT=text keeps the text beside its hash."""
    with start_server(tiny_models, environment(bucket, tmp_path, ABSA_RESULTS_INPUT="text")) as server:
        wanted = invoke(server, {"text": TEXT}).headers["x-request-id"]
    (line,) = [line for line in kept(s3, bucket) if line["request_id"] == wanted]
    assert line["text"] == TEXT


def test_killed_server_loses_no_answer(start_server: StartServer, tiny_models, tmp_path: Path, s3, bucket):
    """What a server killed by SIGKILL had answered, the next one over the same spool takes to S3."""
    with start_server(tiny_models, environment(bucket, tmp_path)) as server:
        wanted = {invoke(server, {"text": TEXT}).headers["x-request-id"] for _ in range(5)}
        server.kill()  # SIGKILL, to gunicorn and its worker at once
        server.wait_for_exit()
    with start_server(tiny_models, environment(bucket, tmp_path)):
        pass
    assert wanted <= {line["request_id"] for line in kept(s3, bucket)}


def test_unreachable_s3_harms_no_answer(start_server: StartServer, tiny_models: Path, tmp_path: Path):
    """Answers go on, the spool holds them, and the metrics say so."""
    there = environment("absent-bucket", tmp_path, AWS_ENDPOINT_URL_S3=NOBODY, AWS_ACCESS_KEY_ID="k")
    there |= {"AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    with start_server(tiny_models, there) as server:
        assert [invoke(server, {"text": TEXT}).status_code for _ in range(3)] == [200] * 3
        metrics = httpx.get(f"{server.url}/metrics", trust_env=False).text
        assert "absa_results_pending 3.0" in metrics
        server.send_signal(signal.SIGTERM)
        assert server.wait_for_exit() == 0
    assert sum(path.read_bytes().count(b"\n") for path in tmp_path.iterdir()) == 3


@pytest.mark.parametrize(("required", "status"), [("true", 503), ("false", 200)])
def test_full_spool_refuses_only_where_results_are_required(
    start_server: StartServer, tiny_models: Path, tmp_path: Path, required: str, status: int
):
    """An answer that does not fit is sent and counted, or not sent and explained."""
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "20260101T00-full.jsonl").write_bytes(b"x" * (1 << 20))
    there = environment("absent-bucket", spool, AWS_ENDPOINT_URL_S3=NOBODY, AWS_ACCESS_KEY_ID="k")
    there |= {"AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    there |= {"ABSA_RESULTS_SPOOL_MB": "1", "ABSA_RESULTS_REQUIRED": required}
    with start_server(tiny_models, there) as server:
        answer = invoke(server, {"text": TEXT})
        assert answer.status_code == status
        if status == 503:
            assert answer.json()["type"] == "ResultsUnavailable"
            assert int(answer.headers["retry-after"]) > 0
        metrics = httpx.get(f"{server.url}/metrics", trust_env=False).text
        assert "absa_results_dropped_total 1.0" in metrics
        server.send_signal(signal.SIGTERM)
        assert server.wait_for_exit() == 0
