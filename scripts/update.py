"""Door to `absa update`: release another image, artifact or size."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["update", *sys.argv[1:]])
