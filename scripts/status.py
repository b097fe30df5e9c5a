"""Door to `absa status`: how an endpoint is."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["status", *sys.argv[1:]])
