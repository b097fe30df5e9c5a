"""Door to `absa push-image`: build, check and push the image."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["push-image", *sys.argv[1:]])
