"""Log lines as CloudWatch gets them."""

import json
import logging.config
import subprocess
import sys

from absa_server.telemetry.logs import logging_config

PROGRAM = """
import logging.config, sys
from absa_server.telemetry.logs import logging_config
logging.config.dictConfig(logging_config("INFO"))
logging.getLogger("absa_server.x").info("model_loaded", extra={"seconds": 1.5, "kind": "chain"})
logging.getLogger("absa_server.x").debug("hidden")
logging.getLogger("uvicorn.access").info("hidden too")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("gunicorn.error").exception("crashed\\nin two lines")
"""


def test_every_event_is_one_json_line_on_stdout():
    """Event, level, logger, time and the event's own fields; a traceback stays inside its line."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert {key: first[key] for key in ("event", "level", "logger", "seconds", "kind")} == {
        "event": "model_loaded",
        "level": "INFO",
        "logger": "absa_server.x",
        "seconds": 1.5,
        "kind": "chain",
    }
    assert first["time"][:2] == "20"
    assert second["event"] == "crashed\nin two lines"
    assert "ZeroDivisionError" in second["exc_info"]
    assert done.stderr == ""


def test_level_is_the_one_asked_for():
    """The root logger takes the level of the settings."""
    assert logging_config("ERROR")["root"]["level"] == "ERROR"
    assert isinstance(logging.config.DictConfigurator(logging_config("DEBUG")), logging.config.DictConfigurator)
