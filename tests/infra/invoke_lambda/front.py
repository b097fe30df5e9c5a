"""The function behind its gateway as a process: HTTP in, the handler of infra/api.yaml unmodified, its log on stdout.

`python -m tests.infra.invoke_lambda.front` with the function's environment; the first line on stdout is its address.
"""

import argparse
import importlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

from .function_environment import handler_name
from .gateway import Gateway, Response


def make_server(gateway: Gateway) -> ThreadingHTTPServer:
    """A server on a free port of the loopback. A function works on one request at a time."""
    is_working = Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 64 * 1024  # head and body in one piece

        def log_message(self, *_):
            pass

        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with is_working:
                response = gateway.respond(self.command, self.path, self.headers.items(), body)
            self.write(response)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any  # noqa: N815  http.server's names

        def write(self, response: Response):
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            if response.status != 304:
                self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--timeout-s", type=float, default=28.0)
    parser.add_argument("--validates", action="store_true")
    parser.add_argument("--is-binary", action="store_true")
    given = parser.parse_args()
    module, _, name = handler_name().rpartition(".")
    handler = getattr(importlib.import_module(module), name)
    gateway = Gateway(handler, timeout_s=given.timeout_s, validates=given.validates, is_binary=given.is_binary)
    server = make_server(gateway)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)  # noqa: T201  read by whoever started this
    server.serve_forever()


if __name__ == "__main__":
    main()
