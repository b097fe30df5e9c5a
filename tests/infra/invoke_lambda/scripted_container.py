"""A container, to be started as a process. It answers as its text asks: `{"status": 507, "said": …}`.

Python's http.server alone. Any other text gets an analysis without aspects.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200 if self.path == "/ping" else 404, {})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            wanted = json.loads(asked["text"])
        except (KeyError, ValueError):
            self.answer(200, {"aspects": [], "truncated": False})
            return
        if wanted["status"] == 0:
            self.connection.close()
            self.close_connection = True
        else:
            self.answer(wanted["status"], wanted["said"])


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler)
    server.daemon_threads = True
    server.serve_forever()
