"""Finds the handler functions of `code/inference.py` and binds them: which there are, and who takes a context.

The rules are those of sagemaker-inference-toolkit's transformer.py. Knows no model and no format.
"""

import importlib.util
import inspect
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from absa_server.errors import InvalidModel

CODE_FOLDER = "code"
SCRIPT = f"{CODE_FOLDER}/inference.py"
# How many arguments each function takes; one more is the context.
ARGUMENTS = {
    "model_fn": 1,
    "input_fn": 2,
    "predict_fn": 2,
    "output_fn": 2,
    "transform_fn": 4,
}
_STEPS = ("input_fn", "predict_fn", "output_fn")

# Called with the function's own arguments and then the context, which is handed on only where it is wanted.
Handler = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class UserFunctions:
    """The functions that the script defines; None for each that it does not. The last argument is the context."""

    model_fn: Handler | None = None
    input_fn: Handler | None = None
    predict_fn: Handler | None = None
    output_fn: Handler | None = None
    transform_fn: Handler | None = None


def find_functions(root: Path) -> UserFunctions | None:
    """The functions of the artifact at `root`; None where it has no `code/inference.py`.

    Runs the script. Raises `InvalidModel` when it raises, defines none of the functions, takes other arguments than the
    toolkit passes, or has `transform_fn` beside one of the three steps that it replaces.
    """
    script = root / SCRIPT
    if not script.is_file():
        return None
    module = _import(script)
    found = {name: getattr(module, name) for name in ARGUMENTS if callable(getattr(module, name, None))}
    if not found:
        raise InvalidModel(f"{SCRIPT} defines none of {', '.join(ARGUMENTS)}; define one, or leave the file out")
    if "transform_fn" in found and any(step in found for step in _STEPS):
        raise InvalidModel(
            f"{SCRIPT}: Cannot use transform_fn implementation in conjunction with input_fn, predict_fn, and/or "
            "output_fn implementation"
        )
    return UserFunctions(**{name: _bound(name, function) for name, function in found.items()})


def _import(script: Path) -> ModuleType:
    """The script as a module of its own name, so that two models may both bring one."""
    for folder in (script.parent / "lib", script.parent):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(f"absa_user_code_{uuid.uuid4().hex}", script)
    if spec is None or spec.loader is None:
        raise InvalidModel(f"{SCRIPT} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickling look a class's module up there
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[spec.name]
        if not isinstance(error, Exception | SystemExit):
            raise
        raise InvalidModel(f"{SCRIPT} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _bound(name: str, function: Callable[..., Any]) -> Handler:
    """The function, called with or without the context, by how many arguments it takes."""
    expected = ARGUMENTS[name]
    try:
        taken = len(inspect.signature(function).parameters)
    except (TypeError, ValueError) as error:
        raise InvalidModel(f"{SCRIPT}: {name} has no signature that can be read ({error})") from error
    if taken == expected:
        return lambda *arguments: function(*arguments[:expected])
    if taken == expected + 1:
        return function
    raise InvalidModel(f"{SCRIPT}: {name} takes {taken} arguments but {expected} were given (one more is the context)")
