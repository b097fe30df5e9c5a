"""A process beside a starting server: says when it is ready and what to try, then ends. Knows one URL, and no model."""

import http.client
import os
import shlex
import sys
import time
import urllib.parse
from collections.abc import Callable

EXAMPLE = '{"text": "The pasta was superb, but the service was painfully slow."}'
POLL_S = 0.2
REPORT_S = 10.0
GIVE_UP_S = 900.0


def example_request(url: str) -> str:
    """A command line that sends one review to the server at `url`."""
    return f"curl -s {url}/invocations -H 'Content-Type: application/json' -d {shlex.quote(EXAMPLE)}"


def is_ready(url: str) -> bool:
    """Whether `GET /ping` answers 200 now."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=2)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def announce(url: str, *, is_server_alive: Callable[[], bool], say: Callable[[str], None]) -> None:
    """Wait until the server is ready, has died or was given up, and say so; a dead server has told why itself."""
    begin = reported = time.monotonic()
    while is_server_alive() and time.monotonic() - begin < GIVE_UP_S:
        if is_ready(url):
            say(f"Ready after {time.monotonic() - begin:.1f} s. Try:\n\n  {example_request(url)}\n")
            return
        if time.monotonic() - reported >= REPORT_S:
            reported = time.monotonic()
            say(f"Not ready after {reported - begin:.0f} s; the log above tells what the server is doing.")
        time.sleep(POLL_S)


def main() -> None:
    """Announce the server at the URL given first, whose process, this one's parent, has the id given second."""
    url, server = sys.argv[1], int(sys.argv[2])
    announce(
        url,
        is_server_alive=lambda: os.getppid() == server,
        say=lambda message: print(message, flush=True),  # noqa: T201
    )


if __name__ == "__main__":
    main()
