"""A server that answers each path with what the test wrote down: the other side of `absa smoke` and `announce`."""

import http.server
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

Answer = tuple[int, bytes]
GOOD: dict[str, Answer] = {
    "/ping": (200, b""),
    "/execution-parameters": (
        200,
        b'{"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}',
    ),
    "/invocations": (200, b'{"aspects": [{"term": "pasta", "start": 4, "end": 9, "polarity": "positive"}]}'),
}


@contextmanager
def answering(answers: Mapping[str, Answer]) -> Iterator[str]:
    """`host:port` of the server while the block runs."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            status, body = answers[self.path]
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
