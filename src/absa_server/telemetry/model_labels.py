"""The names under which models appear in metrics: few, short, and of characters that CloudWatch takes."""

import re
import threading

# The one model of a container that has one; its file's name says nothing to an operator.
ONE_MODEL = "model"
OTHERS = "other"
# CloudWatch takes 1,024; a name is repeated in every line of every interval.
MOST_CHARS = 128
_NOT_A_DIMENSION = re.compile(r"[^\x20-\x7e]")


class ModelLabels:
    """Gives each of the first `limit` models a label of its own, and all further ones `other`. Thread-safe.

    A label is never taken back: the sum over all labels stays the sum over all models.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._labels: dict[str, str] = {}
        self._lock = threading.Lock()

    def of(self, name: str) -> str:
        """The label of the model `name`."""
        known = self._labels.get(name)
        if known is not None:
            return known
        if name == ONE_MODEL:
            return ONE_MODEL
        with self._lock:
            if name not in self._labels and len(self._labels) >= self._limit:
                return OTHERS
            return self._labels.setdefault(name, _shown(name))


def _shown(name: str) -> str:
    """A dimension's value is printable ASCII, and neither blank nor begun by a colon."""
    text = _NOT_A_DIMENSION.sub("?", name)[:MOST_CHARS].strip().lstrip(":")
    return text or "?"
