"""Door to `absa bench`: measure a server and find its knee."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["bench", *sys.argv[1:]])
