"""JSON lines on stdout, one event each: CloudWatch Logs takes them as they are. No payload text, no secrets."""

from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS

from absa_server.telemetry.line_handler import LineHandler


def logging_config(level: str) -> dict[str, Any]:
    """A `logging.config.dictConfig` for this process; gunicorn and uvicorn write through it too."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.orjson.OrjsonFormatter",
                "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger", "message": "event"},
                "datefmt": "%Y-%m-%dT%H:%M:%S%z",
                # uvicorn sends each of its messages a second time, coloured for terminals.
                "reserved_attrs": [*RESERVED_ATTRS, "color_message"],
            }
        },
        "handlers": {"stdout": {"()": LineHandler, "stream": "ext://sys.stdout", "formatter": "json"}},
        "root": {"level": level, "handlers": ["stdout"]},
        "loggers": {
            # Their own lines pass through the root handler; request lines are ours to write.
            "gunicorn.error": {"level": level, "propagate": True, "handlers": []},
            "gunicorn.access": {"level": "CRITICAL", "propagate": False, "handlers": []},
            "uvicorn.error": {"level": level, "propagate": True, "handlers": []},
            "uvicorn.access": {"level": "CRITICAL", "propagate": False, "handlers": []},
            # Libraries that speak of their own doings at INFO.
            "httpx": {"level": "WARNING"},
            "transformers": {"level": "ERROR"},
        },
    }
