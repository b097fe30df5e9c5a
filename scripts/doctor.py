"""Door to `absa doctor`: check what a deployment needs, before it."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["doctor", *sys.argv[1:]])
