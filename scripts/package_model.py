"""Door to `absa package-model`: pack models into a model.tar.gz."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["package-model", *sys.argv[1:]])
