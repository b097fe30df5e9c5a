"""SageMaker Runtime, and a little of S3, over HTTP, told what to answer: for errors that no local platform produces.

Bodies and headers are those that AWS sends (rest-json): `x-amzn-ErrorType`, and the members of the error's shape.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = {"aspects": [], "truncated": False}


@dataclass(frozen=True)
class Scripted:
    """One answer. `error` names an error of AWS; `does` is something other than an answer: `wait`, `drop` or `cut`."""

    status: int = 200
    error: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    does: str = ""


def error(status: int, code: str, message: str = "as the script says") -> Scripted:
    """An error of the Runtime API."""
    return Scripted(status, code, {"Message": message})


def model_error(original: int, said: Any) -> Scripted:
    """What SageMaker makes of a container's `original` status and body."""
    text = said if isinstance(said, str) else json.dumps(said)
    message = (
        f'Received server error ({original}) from primary with message "{text}". See the log for more information.'
    )
    arn = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/sagemaker/Endpoints/absa"
    return Scripted(
        424,
        "ModelError",
        {"Message": message, "OriginalStatusCode": original, "OriginalMessage": text, "LogStreamArn": arn},
    )


class ScriptedRuntime:
    """Answers with what is in `script`, in order, then with an analysis. `calls` are the requests it was sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.script: list[Scripted] = []
        self.calls: list[dict[str, Any]] = []
        self.is_over = threading.Event()

    def next(self) -> Scripted:
        """What is to be answered now."""
        return self.script.pop(0) if self.script else Scripted(fields=ANSWER)


@contextmanager
def scripted_runtime() -> Iterator[ScriptedRuntime]:
    """One on a free port, until the block ends."""
    runtime: ScriptedRuntime

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_PUT(self):
            """S3 takes every object."""
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self):
            """S3 lists nothing, unless the script has an error."""
            scripted = runtime.script.pop(0) if runtime.script else Scripted()
            if scripted.does == "wait":
                runtime.is_over.wait(60)
                self.close_connection = True
                return
            told = f"<Error><Code>{scripted.error}</Code><Message>as the script says</Message></Error>"
            content = (told if scripted.error else "<ListBucketResult/>").encode()
            self.send_response(scripted.status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            runtime.calls.append({"path": self.path, "headers": headers, "body": body})
            scripted = runtime.next()
            if scripted.does == "wait":  # longer than whoever asks
                runtime.is_over.wait(60)
            if scripted.does in ("wait", "drop"):
                self.close_connection = True
                return
            content = json.dumps(scripted.fields).encode()
            is_later = scripted.status == 200 and self.path.endswith("/async-invocations")
            self.send_response(202 if is_later else scripted.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content) + (100 if scripted.does == "cut" else 0)))
            if scripted.error:
                self.send_header("x-amzn-ErrorType", scripted.error)
            if is_later:
                self.send_header("X-Amzn-SageMaker-OutputLocation", "s3://results/jobs/answers/scripted.out")
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = scripted.does == "cut"

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    runtime = ScriptedRuntime(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield runtime
    finally:
        runtime.is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()
