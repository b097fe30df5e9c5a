"""Door to `absa upload-model`: put an artifact into S3."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["upload-model", *sys.argv[1:]])
