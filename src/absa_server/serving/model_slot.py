"""Holds the one model of a single-model container, and its state: loading, ready, failed, or none expected.

The load runs in a thread of its own, beside the event loop, after the port is bound. A failure stays: SageMaker sees
503 from `/ping` and replaces or gives up the instance, and the log has said once why.
"""

import logging
import threading
import time
from collections.abc import Callable

from absa_server.errors import AbsaError, ModelNotReady
from absa_server.serving.loading import LoadedModel
from absa_server.serving.priorities import yield_to_event_loop
from absa_server.serving.served_model import ServedModel
from absa_server.telemetry.model_labels import ONE_MODEL
from absa_server.user_code.loaded import UserCode

logger = logging.getLogger(__name__)

_RETRY_AFTER_S = 5


class ModelSlot:
    """Thread-safe. Without `load`, the container starts with no model and is ready at once."""

    def __init__(self, load: Callable[[], LoadedModel] | None) -> None:
        self.loads = 0
        self.load_seconds = 0.0
        self._load = load
        self._lock = threading.Lock()
        self._model: LoadedModel | None = None
        self._failure: str | None = None
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to load; returns at once."""
        if self._load is not None:
            self._thread = threading.Thread(target=self._run, args=(self._load,), name="model-load", daemon=True)
            self._thread.start()

    def _run(self, load: Callable[[], LoadedModel]) -> None:
        yield_to_event_loop()  # and with this thread those that the model's engines start
        begin_s = time.monotonic()
        try:
            model = load()
        except AbsaError as error:
            logger.error("model_load_failed", extra={"reason": error.message})  # noqa: TRY400  the message says it all
            self._failure = error.message
            return
        except BaseException as error:
            logger.exception("model_load_failed")
            self._failure = f"unexpected {type(error).__name__} while loading; the log has more"
            return
        with self._lock:
            if not self._is_closed:
                self._model = model
                self.loads, self.load_seconds = 1, time.monotonic() - begin_s
                return
        model.close()  # the server stopped while the model loaded

    @property
    def is_ready(self) -> bool:
        """Whether a request could be answered now; never waits."""
        return self._model is not None or self._load is None

    @property
    def model(self) -> LoadedModel | None:
        """The model, once it is ready."""
        return self._model

    @property
    def code(self) -> UserCode | None:
        """The model's own code, once it is ready and if it brings some."""
        return self._model.code if self._model is not None else None

    def require(self) -> LoadedModel:
        """The model. Raises `ModelNotReady` while it loads, when its load failed, or when none is expected."""
        if self._model is not None:
            return self._model
        if self._failure is not None:
            raise ModelNotReady(f"the model could not be loaded: {self._failure}")
        if self._load is None:
            raise ModelNotReady("no model is loaded: SAGEMAKER_MULTI_MODEL is on, and models arrive one by one")
        raise ModelNotReady("the model is still loading", retry_after_s=_RETRY_AFTER_S)

    def serve(self) -> ServedModel:
        """The model as it answers requests. Raises as `require`."""
        return ServedModel.of(self.require(), ONE_MODEL)

    def close(self) -> None:
        """Frees the model. A load that is still under way frees its own when it ends."""
        with self._lock:
            self._is_closed = True
            model, self._model = self._model, None
        if model is not None:
            model.close()

    def __repr__(self) -> str:
        state = "ready" if self.is_ready else "failed" if self._failure else "loading"
        return f"ModelSlot({state})"
