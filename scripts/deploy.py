"""Door to `absa deploy`: make every stack of an endpoint."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["deploy", *sys.argv[1:]])
