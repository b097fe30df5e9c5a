"""Door to `absa smoke`: check a running server or an image."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["smoke", *sys.argv[1:]])
