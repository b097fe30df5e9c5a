"""The toolkits' codecs: what a handler without `input_fn` gets, and how its result is written without `output_fn`.

As sagemaker-inference-toolkit's decoder.py and encoder.py define them; NPY without pickles, which it would run.
"""

import io
import json
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from absa_server.errors import InvalidRequest, NotAcceptable, UnsupportedMediaType

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"

Array = npt.NDArray[np.generic]


def decode(body: str | bytes, content_type: str) -> Array:
    """The array that `body` holds. Raises `UnsupportedMediaType`, and `InvalidRequest` for what cannot be read."""
    if content_type not in _DECODERS:
        raise UnsupportedMediaType(
            f"Content-Type: expected {', '.join(_DECODERS)} (or an input_fn in code/inference.py), got {content_type}"
        )
    try:
        return _DECODERS[content_type](body)
    except (ValueError, OSError, EOFError) as error:
        raise InvalidRequest(f"body: not readable as {content_type}: {error}") from error


def encode(value: object, content_type: str) -> str | bytes:
    """`value`, an array or whatever numpy makes one of, as text or bytes. Raises `NotAcceptable`."""
    if content_type not in _ENCODERS:
        raise NotAcceptable(
            f"Accept: expected {', '.join(_ENCODERS)} (or an output_fn in code/inference.py), got {content_type}"
        )
    return _ENCODERS[content_type](value)


def _from_json(body: str | bytes) -> Array:
    return np.array(json.loads(body))


def _from_csv(body: str | bytes) -> Array:
    text = body if isinstance(body, str) else body.decode("utf-8")
    return np.genfromtxt(io.StringIO(text), dtype=None, delimiter=",", encoding="utf-8")


def _from_npy(body: str | bytes) -> Array:
    content = body.encode("latin-1") if isinstance(body, str) else body
    loaded: Array = np.load(io.BytesIO(content), allow_pickle=False)
    return loaded


def _to_json(value: object) -> str:
    return json.dumps(value, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON; return plain values, or bring an output_fn")


def _to_csv(value: object) -> str:
    page = io.StringIO()
    np.savetxt(page, np.asarray(value), delimiter=",", fmt="%s")
    return page.getvalue()


def _to_npy(value: object) -> bytes:
    page = io.BytesIO()
    np.save(page, np.asarray(value), allow_pickle=False)
    return page.getvalue()


_DECODERS: dict[str, Callable[[str | bytes], Array]] = {JSON: _from_json, CSV: _from_csv, NPY: _from_npy}
_ENCODERS: dict[str, Callable[[object], str | bytes]] = {JSON: _to_json, CSV: _to_csv, NPY: _to_npy}
