"""A small container of our own, to be started as a process: tells what it was asked, and fails when told to.

Python's http.server alone. A body `{"do": …}` makes it answer otherwise; any other body comes back with the headers.
With SAGEMAKER_MULTI_MODEL=true it holds at most CAPACITY models. It writes what it is asked to the file CALLS.
"""

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME = os.environ.get("NAME", "small")
MODELS: dict[str, str] = {}
LOCK = threading.Lock()
IDLE = threading.Condition()
IN_WORK: list[int] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", content_type="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def tell(self, status, **fields):
        self.answer(status, json.dumps(fields).encode())

    def note(self):
        if "CALLS" in os.environ:
            with LOCK, Path(os.environ["CALLS"]).open("a") as calls:
                calls.write(f"{self.command} {self.path}\n")

    def do_GET(self):
        if self.path == "/ping":
            sick = Path(os.environ.get("SICK", "/nonexistent"))
            self.answer(503 if sick.exists() else 200)
        elif self.path == "/models":
            self.tell(200, models=[{"modelName": name, "modelUrl": url} for name, url in MODELS.items()])
        elif self.path == "/execution-parameters" and "EXECUTION_PARAMETERS" in os.environ:
            self.answer(200, os.environ["EXECUTION_PARAMETERS"].encode())
        else:
            self.tell(404, message="no such path")

    def do_DELETE(self):
        self.note()
        with LOCK:
            url = MODELS.pop(self.path.removeprefix("/models/"), None)
        self.tell(404 if url is None else 200)

    def do_POST(self):
        IN_WORK.append(1)
        try:
            self.post()
        finally:
            with IDLE:
                IN_WORK.pop()
                IDLE.notify_all()

    def post(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/invocations":
            self.note()
        if self.path == "/models":
            self.load(json.loads(body))
        elif self.path.startswith("/models/"):
            self.invoke_model(self.path.split("/")[2], body)
        else:
            self.invoke(body)

    def load(self, asked):
        folder = Path(asked["url"])
        if (folder / "slow").exists():
            time.sleep(float((folder / "slow").read_text()))
        with LOCK:
            if asked["model_name"] in MODELS:
                self.tell(409)
            elif (folder / "broken").exists():
                self.tell(500, message="broken model")
            elif len(MODELS) >= int(os.environ.get("CAPACITY", "99")):
                self.tell(507, message="full")
            else:
                MODELS[asked["model_name"]] = asked["url"]
                self.tell(200)

    def invoke_model(self, name, body):
        with LOCK:
            url = MODELS.get(name)
            if body == b"lose":  # once: as a container does that restarted its worker
                MODELS.pop(name, None)
        if url is None or (body == b"lose" and not Path(url, "lost").exists() and Path(url, "lost").touch() is None):
            self.tell(404, message=f"Model not found: {name}")
        else:
            self.tell(200, model=(Path(url) / "name").read_text(), headers=dict(self.headers), name=name)

    def invoke(self, body):
        try:
            wanted = json.loads(body)
            do = wanted.get("do") if isinstance(wanted, dict) else None
        except ValueError:
            do = None
        if do == "status":
            self.answer(wanted["status"], wanted.get("message", "").encode(), "text/plain")
        elif do == "size":
            self.answer(200, b"x" * wanted["bytes"], "text/plain; charset=utf-8")
        elif do == "header":
            self.answer(200, b"{}", X_Large="x" * wanted["bytes"])
        elif do == "sleep":
            time.sleep(wanted["seconds"])
            self.tell(200, name=NAME)
        elif do == "exit":
            os._exit(3)
        elif do in ("chunks", "cut"):
            self.chunks(do)
        else:
            custom = self.headers.get("X-Amzn-SageMaker-Custom-Attributes")
            extra = {"X_Amzn_SageMaker_Custom_Attributes": custom, "X_Secret": "1"} if custom else {}
            told = {
                "name": NAME,
                "pid": os.getpid(),
                "headers": dict(self.headers),
                "body": body.decode("utf-8", "replace"),
            }
            told["environment"] = {key: value for key, value in os.environ.items() if key.startswith("SAGEMAKER_")}
            self.answer(200, json.dumps(told).encode(), os.environ.get("ANSWER_TYPE", "application/json"), **extra)

    def chunks(self, do):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (b"first ", b"second"):
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            self.wfile.flush()
        if do == "cut":
            self.connection.close()
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")


def drain():
    """What has begun is answered, then the process ends."""
    with IDLE:
        IDLE.wait_for(lambda: not IN_WORK, 20)
    os._exit(0)


if __name__ == "__main__":
    if "STUBBORN" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=drain).start())
    if "SLOW_START_S" in os.environ:
        time.sleep(float(os.environ["SLOW_START_S"]))
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler)
    server.daemon_threads = True
    server.serve_forever()
