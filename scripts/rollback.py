"""Door to `absa rollback`: return to an earlier release."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["rollback", *sys.argv[1:]])
