"""A converted network as files: OpenVINO's IR and what the engine must know of it. Reader and writer stand together.

    model.xml, model.bin   the graph and its weights
    network.json           see `NetworkInfo`

An artifact may bring such folders as `<model>/openvino/<f32 or int8>/`; bf16 runs from the f32 one.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from absa_server.engines.precision import Precision
from absa_server.errors import InvalidModel

GRAPH, WEIGHTS, INFO = "model.xml", "model.bin", "network.json"
PACKED_FOLDER = "openvino"
VERSION = 1


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """What the IR does not say itself.

    `vocabulary` and `max_tokens` bound what may be asked: the IR would answer ids and positions beyond them with
    nonsense. `max_tokens` None: any length. `engine` is the version that converted it. `measured` are whatever figures
    its packer found (agreement, speed), for people. `id` is made of the graph's and the weights' bytes when the info is
    written: what is compiled from a network points into its weights file, and fits no other.
    """

    precision: str
    vocabulary: int
    max_tokens: int | None
    engine: str
    measured: dict[str, float | str] | None = None
    id: str = ""
    version: int = VERSION


def write_info(folder: Path, info: NetworkInfo) -> None:
    """Puts `info` beside the graph and the weights in `folder`, with the id that follows from them."""
    document = asdict(replace(info, id=_content(folder)))
    (folder / INFO).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_info(folder: Path) -> NetworkInfo:
    """What `folder` says of its network. Raises `InvalidModel` when files are missing or of another version."""
    missing = [name for name in (GRAPH, WEIGHTS, INFO) if not (folder / name).is_file()]
    if missing:
        raise InvalidModel(f"{_name(folder)} lacks {', '.join(missing)}; pack the artifact again")
    try:
        info = NetworkInfo(**json.loads((folder / INFO).read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InvalidModel(f"{_name(folder)}/{INFO} is not readable ({error}); pack the artifact again") from error
    if info.version != VERSION:
        raise InvalidModel(
            f"{_name(folder)}/{INFO}: version {info.version}; this server reads {VERSION}; pack the artifact again"
        )
    return info


def _content(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (GRAPH, WEIGHTS):
        with (folder / name).open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def packed_networks(folder: Path) -> dict[str, Path]:
    """Networks that the model in `folder` brings, by precision."""
    names: tuple[Precision, ...] = ("f32", "int8")
    return {name: path for name in names if (path := folder / PACKED_FOLDER / name).is_dir()}


def is_compiled_only(folder: Path) -> bool:
    """Whether the model in `folder` is there as networks alone, without the weights that they were made of."""
    return bool(packed_networks(folder)) and not any(folder.glob("*.safetensors"))


def _name(folder: Path) -> str:
    return "/".join(folder.parts[-3:])
