"""Door to `absa plan`: from a load test to a fleet, its bill and a simulated burst."""

import sys

from absa_server.cli import app

if __name__ == "__main__":
    app(["plan", *sys.argv[1:]])
