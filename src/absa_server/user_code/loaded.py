"""The code of one artifact, found and with its model made. Knows no request."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from absa_server.user_code.functions import SCRIPT, UserFunctions, find_functions
from absa_server.user_code.transformer import load_model

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UserCode:
    """`model` is what `model_fn` returned (`is_own_model`), else the artifact's own models as a callable."""

    functions: UserFunctions
    root: Path
    model: object
    is_own_model: bool


def functions_of(root: Path, *, is_wanted: bool) -> UserFunctions | None:
    """The functions of the artifact's script, which runs it; None where there is none, or it is not wanted.

    Raises `InvalidModel` as `find_functions` does.
    """
    if is_wanted:
        return find_functions(root)
    if (root / SCRIPT).is_file():
        logger.warning("user_code_ignored", extra={"script": SCRIPT, "remedy": "ABSA_USER_CODE=true runs it"})
    return None


def load_user_code(functions: UserFunctions, root: Path, *, default_model: Callable[..., object] | None) -> UserCode:
    """The code with its model. `default_model`: the artifact's own models, if it has any. Raises `InvalidModel`."""
    is_own = functions.model_fn is not None
    model = load_model(functions, root, default_model) if is_own else default_model
    names = [name for name in functions.__slots__ if getattr(functions, name) is not None]
    logger.info("user_code_loaded", extra={"functions": names})
    return UserCode(functions, root, model, is_own)
