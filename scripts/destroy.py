"""Door to `absa destroy`: delete an endpoint's stacks."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["destroy", *sys.argv[1:]])
