"""The folders to pack, copied into one artifact: links followed, what no server reads left out. Knows no model."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from absa_server.absa.absa_json import FILE_NAME as ABSA_JSON
from absa_server.absa.absa_json import AbsaJson, parse_absa_json
from absa_server.absa.checkpoint import PICKLES
from absa_server.engines.network import PACKED_FOLDER
from absa_server.packaging.errors import InvalidInputs
from absa_server.serving.self_test import FILE_NAME as SELF_TEST
from model_loader.manifest import MANIFEST_NAME

_LITTER = ("__MACOSX", "__pycache__")
# The same weights for other libraries, and what training leaves beside a model.
_UNREAD = (*PICKLES, "*.h5", "*.msgpack", "*.onnx", "*.tflite", "*.ot")
# Written anew.
_OWN = (MANIFEST_NAME, SELF_TEST)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to pack: a whole artifact, or the folder of either model, and the `absa.json` to go with them."""

    models: Path | None = None
    aspect: Path | None = None
    sentiment: Path | None = None
    absa_json: Path | None = None


def stage(inputs: Inputs, into: Path) -> list[str]:
    """Copies the inputs into the empty folder `into`; the relative paths of what was left out.

    Raises `InvalidInputs`, and `InvalidModel` for an `absa.json` that the server would refuse.
    """
    if (inputs.models is None) == (inputs.aspect is None and inputs.sentiment is None):
        raise InvalidInputs("expected either --models, or --aspect and --sentiment (one of them is enough)")
    options = _read_options(inputs)
    if inputs.models is not None:
        left_out = _copy(inputs.models, into)
    else:
        roles = ((inputs.aspect, options.aspect.path), (inputs.sentiment, options.sentiment.path))
        left_out = [f"{name}/{path}" for folder, name in roles if folder for path in _copy(folder, into / name)]
    if inputs.absa_json is not None:
        shutil.copyfile(inputs.absa_json, into / ABSA_JSON)
    return left_out


def _read_options(inputs: Inputs) -> AbsaJson:
    try:
        return parse_absa_json(inputs.absa_json.read_bytes()) if inputs.absa_json else AbsaJson()
    except OSError as error:
        raise InvalidInputs(f"{inputs.absa_json}: {error.strerror}") from error


def _copy(folder: Path, into: Path) -> list[str]:
    """Copies what a server reads; what was left out, but for litter."""
    left_out: list[str] = []
    for file in _files(folder, (folder.resolve(),)):
        path = file.relative_to(folder)
        if _is_litter(path) or (len(path.parts) == 1 and path.name in _OWN):
            continue
        if _is_unread(folder, path):
            left_out.append(path.as_posix())
            continue
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, into / path)
    return left_out


def _files(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Plain files below `folder`, through links. Raises `InvalidInputs` for what can be neither copied nor entered."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InvalidInputs(f"{folder}: {error.strerror}; expected a folder with a model") from error
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir():
            if path.resolve() in above:
                raise InvalidInputs(f"{path} is a link to a folder above it; remove it")
            yield from _files(path, (*above, path.resolve()))
        elif entry.is_file():
            yield path
        else:
            raise InvalidInputs(f"{path} is a link to nothing, or no plain file; remove or repair it")


def _is_litter(path: Path) -> bool:
    return any(part in _LITTER or part.startswith(".") for part in path.parts)


def _is_unread(root: Path, path: Path) -> bool:
    """Other forms of a model's weights, and networks that are made anew from its weights."""
    for folder in (root / parent for parent in path.parents):
        if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
            inside = (root / path).relative_to(folder)
            is_other_form = len(inside.parts) == 1 and any(fnmatch(path.name, pattern) for pattern in _UNREAD)
            return is_other_form or inside.parts[0] == PACKED_FOLDER
    return False
