"""One request through a model's own code: input, prediction, output, each by the user or by default.

Whoever brings a `model_fn` gets the toolkits' defaults for the rest; whoever keeps the artifact's models gets ours:
then the data between the steps are plain dicts, as `docs/api.md` shows a record and its result. Knows no HTTP server.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from absa_server.errors import AbsaError, InvalidModel, UserCodeFailed
from absa_server.user_code.codecs import CSV, JSON, decode, encode
from absa_server.user_code.functions import SCRIPT, UserFunctions

_DECODED = (JSON, CSV)
_LINE_ENDS = re.compile(r"[\r\n]+")
_HEADER = re.compile(r"[!-~][ -~]{0,1023}")


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler may know of its request beside the body; handed to functions that take one more argument.

    `default_model`: the artifact's own models as a callable, records in, results out; None where it has none.
    """

    model_dir: str
    request_id: str = ""
    inference_id: str | None = None
    custom_attributes: str | None = None
    default_model: Callable[..., object] | None = None
    system_properties: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Defaults:
    """The steps that run where the script has none of its own; the signatures are those of the script's."""

    input_fn: Callable[[str | bytes, str], Any]
    predict_fn: Callable[[Any, Any], Any]
    output_fn: Callable[[Any, str], str | bytes]


def _no_prediction(_data: object, _model: object) -> object:
    raise UserCodeFailed(f"{SCRIPT} has a model_fn and no predict_fn: nothing says how its model predicts")


TOOLKIT_DEFAULTS = Defaults(decode, _no_prediction, encode)


@dataclass(frozen=True, slots=True)
class Transformer:
    """The functions with a loaded model. As safe to call from several threads as the user's functions are."""

    functions: UserFunctions
    defaults: Defaults
    model: object
    default_accept: str = JSON

    def transform(self, body: bytes, content_type: str, accept: str | None, context: Context) -> tuple[bytes, str]:
        """The answer's body and its Content-Type.

        Raises what a default raises, an error with a status of the user's own as `UserCodeFailed` of that status, and
        `UserCodeFailed` for whatever else the user's code raises.
        """
        wanted = accept if accept and accept.strip() not in ("", "*/*") else self.default_accept
        data = _as_text(body, content_type)
        try:
            result = self._run(data, content_type, wanted, context)
            written, kind = result if isinstance(result, tuple) and len(result) == 2 else (result, wanted)
            return _as_bytes(written), _checked_type(kind)
        except AbsaError:
            raise
        except BaseException as error:
            raise _failure(error) from error

    def _run(self, data: str | bytes, content_type: str, accept: str, context: Context) -> object:
        own = self.functions
        if own.transform_fn is not None:
            return own.transform_fn(self.model, data, content_type, accept, context)
        given = (
            own.input_fn(data, content_type, context) if own.input_fn else self.defaults.input_fn(data, content_type)
        )
        prediction = (
            own.predict_fn(given, self.model, context)
            if own.predict_fn
            else self.defaults.predict_fn(given, self.model)
        )
        if own.output_fn:
            return own.output_fn(prediction, accept, context)
        return self.defaults.output_fn(prediction, accept)


def load_model(functions: UserFunctions, root: Path, default_model: Callable[..., object] | None = None) -> object:
    """What `model_fn` makes of the artifact at `root`. Raises `InvalidModel` when it raises."""
    if functions.model_fn is None:
        raise ValueError("no model_fn")
    try:
        return functions.model_fn(str(root), Context(str(root), default_model=default_model))
    except (Exception, SystemExit) as error:
        raise InvalidModel(f"{SCRIPT}: model_fn failed: {type(error).__name__}: {error}") from error


def _as_text(body: bytes, content_type: str) -> str | bytes:
    """Decoded only where the type is exactly JSON or CSV, as the toolkit does: parameters leave bytes."""
    if content_type not in _DECODED:
        return body
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserCodeFailed(f"body: not UTF-8 at byte {error.start}", status=400) from error


def _as_bytes(written: object) -> bytes:
    if isinstance(written, str):
        return written.encode("utf-8")
    if isinstance(written, bytes | bytearray | memoryview):
        return bytes(written)
    raise UserCodeFailed(
        f"{SCRIPT}: expected str or bytes, or a pair of that and a content type, got {type(written).__name__}"
    )


def _checked_type(kind: object) -> str:
    """A Content-Type that can be written in a header: whoever could put a line end there could write more headers."""
    if not isinstance(kind, str) or not _HEADER.fullmatch(kind):
        raise UserCodeFailed(f"{SCRIPT}: expected a content type beside the body, got {ascii(kind)[:80]}")
    return kind


def _failure(error: BaseException) -> UserCodeFailed:
    """The toolkit's own errors carry a status and a phrase; every other is a failure of the code."""
    status, message = getattr(error, "status_code", None), getattr(error, "message", None) or str(error)
    if isinstance(status, int) and 400 <= status <= 599:
        phrase = _LINE_ENDS.sub(" ", str(getattr(error, "phrase", None) or ""))
        return UserCodeFailed(f"{phrase}: {message}".lstrip(": "), status=status)
    return UserCodeFailed(f"{SCRIPT} raised {type(error).__name__}: {message}")
