"""What went wrong on a model's way from the store into memory, in this server's words. The one seam between the two.

Whose fault it is decides: the caller's name, the artifact's owner, the store, or a shortage in here.
"""

import logging
import math
from collections.abc import Callable

import model_loader
from absa_server.errors import (
    AbsaError,
    InvalidModel,
    InvalidRequest,
    ModelNotFound,
    ModelNotReady,
    ResourcesExhausted,
    StoreRefused,
    StoreUnavailable,
)
from absa_server.serving.shortages import is_shortage

logger = logging.getLogger(__name__)

_RETRY_AFTER_S = 5
_STOPPING_RETRY_S = 1
_ADVICE = "raise ABSA_MEMORY_BUDGET_MB or ABSA_DISK_BUDGET_MB, or serve a smaller model"


def told(error: Exception, *, name: str, field: str) -> AbsaError:
    """A new exception for one caller; `field` is the parameter that named the model `name`."""
    if isinstance(error, OSError) and is_shortage(error):
        return _no_room(error, name)
    for kinds, make in _TABLE:
        if isinstance(error, kinds):
            return make(error, name)
    if isinstance(error, model_loader.NameInvalid):
        return InvalidRequest(f"parameters.{field}: {error}")
    return InvalidModel(str(error)) if isinstance(error, model_loader.ArtifactError) else _of_a_load(error, name)


def _no_room(error: Exception, name: str) -> AbsaError:
    return ResourcesExhausted(f"no room for {name}: {error}; {_ADVICE}")


def _may_pass(error: Exception, name: str) -> AbsaError:
    retry_after_s = math.ceil(getattr(error, "retry_after_s", _RETRY_AFTER_S))
    return StoreUnavailable(f"{name} could not be had from the store: {error}", retry_after_s=retry_after_s)


# From the artifact's way to its class here; what is in no row is the name, the artifact's own fault, or a failed load.
_TABLE: tuple[tuple[tuple[type[Exception], ...], Callable[[Exception, str], AbsaError]], ...] = (
    (
        (model_loader.CacheTooSmall, model_loader.ArtifactTooLarge, model_loader.DiskFull, MemoryError),
        _no_room,
    ),
    ((model_loader.ArtifactMissing,), lambda error, name: ModelNotFound(f"Model not found: {name} ({error})")),
    ((model_loader.StoreRefused,), lambda error, _: StoreRefused(str(error))),
    (
        (model_loader.StoreUnavailable, model_loader.DeadlineExceeded, model_loader.ArtifactReplaced),
        _may_pass,
    ),
    ((model_loader.CacheError,), lambda error, _: ModelNotReady(str(error), retry_after_s=_STOPPING_RETRY_S)),
)


def _of_a_load(error: Exception, name: str) -> AbsaError:
    if isinstance(error, InvalidModel):
        return InvalidModel(f"{name}: {error.message}")
    if isinstance(error, AbsaError):
        return error
    if isinstance(error, OSError):
        return InvalidModel(f"{name} could not be read: {error.strerror}")
    logger.error("model_load_failed", extra={"model": name}, exc_info=error)
    return InvalidModel(f"unexpected {type(error).__name__} while loading {name}; the log has more")
