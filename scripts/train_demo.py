"""Door to `absa train-demo`: train the demo models, or your own."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["train-demo", *sys.argv[1:]])
