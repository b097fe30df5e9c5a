"""Door to `absa invoke`: call an endpoint once."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["invoke", *sys.argv[1:]])
