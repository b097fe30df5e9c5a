"""An engine that is closed only between two passes: a request that was given up may have left one behind."""

import threading
from typing import Any

from absa_server.errors import EngineFailed
from absa_server.types import Engine, FloatArray, IntArray


class GuardedEngine:
    """Stands in for `engine` in everything; `close` waits for passes under way, later ones are refused."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._condition = threading.Condition()
        self._passes = 0
        self._is_closed = False

    def infer(self, input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray | None) -> FloatArray:
        """See `types.Engine`. Raises `EngineFailed` once the model is unloaded."""
        with self._condition:
            if self._is_closed:
                raise EngineFailed("the model was unloaded")
            self._passes += 1
        try:
            return self._engine.infer(input_ids, attention_mask, token_type_ids)
        finally:
            with self._condition:
                self._passes -= 1
                self._condition.notify_all()

    def close(self) -> None:
        """Closes the engine after the last pass."""
        with self._condition:
            self._is_closed = True
            self._condition.wait_for(lambda: self._passes == 0)
        self._engine.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever else an engine tells of itself
        return getattr(self._engine, name)
