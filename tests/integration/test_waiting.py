"""Whoever waits too long, or not at all, against a real server process: the deadline, and clients that leave."""

import json
import socket
import time

import httpx

TEXTS = [f"The food was great on day {n}, but the service was slow. {'So slow. ' * 200}" for n in range(300)]


def send(server, content: bytes, *, declared: int | None = None) -> socket.socket:
    """A connection on which a request, or its first part, has been sent."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    head = (
        "POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {declared or len(content)}\r\n\r\n"
    )
    connection.sendall(head.encode() + content)
    return connection


def pending(server) -> float:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("absa_requests_pending "))


def wait_until(condition, limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def test_client_that_leaves_ends_its_work(start_server, tiny_models):
    """Its place is free long before its texts would have been analysed, and the next request is answered."""
    with start_server(tiny_models) as server:
        connection = send(server, json.dumps({"inputs": TEXTS * 3}).encode())
        wait_until(lambda: pending(server) == 1)
        connection.close()
        wait_until(lambda: pending(server) == 0)
        wait_until(lambda: any(event["status"] == 499 for event in server.events("request")))
        assert httpx.post(f"{server.url}/invocations", json={"text": "The food was great."}).status_code == 200


def test_body_that_never_ends_gives_its_place_back(start_server, tiny_models):
    """The deadline holds from the first byte on: a client that stops sending is told so, and keeps no place."""
    with start_server(tiny_models, {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "1"}) as server:
        connection = send(server, b'{"text": ', declared=100)
        answer = ""
        while not answer.endswith("}"):
            answer += connection.recv(65536).decode()
        connection.close()
        assert answer.startswith("HTTP/1.1 503")
        assert "DeadlineExceeded" in answer
        assert "retry-after: 1" in answer.lower()
        wait_until(lambda: pending(server) == 0)


def test_work_beyond_its_time_is_refused_with_the_reason(start_server, tiny_models):
    """A request that takes too long is answered in time: 503, the variable, when to come back."""
    with start_server(tiny_models, {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "0.2"}) as server:
        response = httpx.post(f"{server.url}/invocations", json={"inputs": TEXTS}, timeout=30)
        assert response.status_code == 503
        assert response.json()["type"] == "DeadlineExceeded"
        assert response.json()["retry_after_s"] == int(response.headers["retry-after"]) == 1
        assert "SAGEMAKER_MODEL_SERVER_TIMEOUT" in response.json()["message"]
