"""Which models were loaded, written down for the worker that takes a dead one's place. Knows no model."""

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

logger = logging.getLogger(__name__)


class ModelNames:
    """Names and urls in one small file, replaced whole."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> dict[str, str]:
        """What was written last; nothing when there is no readable record."""
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(name): str(url) for name, url in found.items()} if isinstance(found, dict) else {}

    def write(self, names: Mapping[str, str]) -> None:
        """Replaces the record. A disk that takes nothing costs the next worker its memory, not this one its models."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft = self._file.with_suffix(".new")
            draft.write_text(json.dumps(names), encoding="utf-8")
            draft.replace(self._file)
        except OSError as error:
            logger.warning("model_names_not_recorded", extra={"reason": str(error)})


def names_file_of_this_server() -> Path:
    """A file that all workers of one gunicorn share, and no other server: named by their parent and its start."""
    parent = os.getppid()
    try:
        started = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        started = "0"
    return Path(tempfile.gettempdir()) / f"absa-models-{os.getuid()}-{parent}-{started}.json"
