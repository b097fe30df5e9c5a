"""A container, to be started as a process. It answers as its text asks: `{"status": 507, "said": …}`.

Python's http.server alone. Any other text gets the same analysis, a list of texts one each, an invisible text a 400.
As a multi-model container it has every model.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RESULT = {"aspects": [{"term": "food", "start": 0, "end": 4, "score": 1.0, "polarity": "positive"}], "truncated": False}
INVISIBLE = "\u200b"


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
        self.answer(200, {"models": []})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "texts" in asked:
            self.answer(200, {"results": [RESULT] * len(asked["texts"])})
            return
        try:
            wanted = json.loads(asked.get("text", ""))
        except ValueError:
            is_refused = asked.get("text") == INVISIBLE
            self.answer(400 if is_refused else 200, {"message": "nothing to read"} if is_refused else RESULT)
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
