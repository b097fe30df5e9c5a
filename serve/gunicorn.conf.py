"""gunicorn's configuration file; every value is decided, and explained, in `absa_server.gunicorn_conf`."""

from absa_server.gunicorn_conf import *  # noqa: F403  gunicorn reads its settings from this file's names
