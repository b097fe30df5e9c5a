"""What a model needs to be served without a conversion, put beside it: its network, its fast tokenizer."""

import shutil
from functools import partial
from pathlib import Path

from absa_server.absa.artifact import Artifact
from absa_server.absa.checkpoint import SLOW_TOKENIZER_FILES, Checkpoint
from absa_server.engines.compile import TOKENIZER
from absa_server.engines.factory import EngineChoice, NetworkSource, converted_network, load_tokenizer
from absa_server.engines.network import PACKED_FOLDER, is_compiled_only
from absa_server.errors import InvalidModel, NotConvertible
from model_loader.manifest import content_hash


def checkpoints(artifact: Artifact) -> list[Checkpoint]:
    """The models of an artifact, one or two."""
    return [found for found in (artifact.aspect, artifact.sentiment) if found is not None]


def source_of(checkpoint: Checkpoint) -> NetworkSource:
    """The model as the engines want it told."""
    content = partial(content_hash, checkpoint.folder)
    return NetworkSource(checkpoint.folder, content, checkpoint.task, len(checkpoint.id2label))


def add_tokenizer(checkpoint: Checkpoint, choice: EngineChoice) -> bool:
    """Whether the model had only a slow tokenizer; its fast form is now in the folder. Raises `InvalidModel`."""
    if checkpoint.tokenizer_json is not None:
        return False
    text = load_tokenizer(source_of(checkpoint), choice)
    (checkpoint.folder / TOKENIZER).write_text(text, encoding="utf-8")
    for name in SLOW_TOKENIZER_FILES:
        (checkpoint.folder / name).unlink(missing_ok=True)
    return True


def add_network(checkpoint: Checkpoint, choice: EngineChoice) -> None:
    """Puts the float32 network into the model's folder, unless networks are all that it has.

    Raises `InvalidModel`, for a model that does not convert with the advice to pack it as it is.
    """
    if is_compiled_only(checkpoint.folder):
        return
    try:
        lease = converted_network(source_of(checkpoint), choice)
    except NotConvertible as error:
        raise InvalidModel(f"{error.message}; pack with --no-compiled, and the server runs it on torch") from error
    try:
        shutil.copytree(lease.path, network_folder(checkpoint, "f32"))
    finally:
        lease.release()


def network_folder(checkpoint: Checkpoint, precision: str) -> Path:
    """Where an artifact has the network of that precision."""
    return checkpoint.folder / PACKED_FOLDER / precision


def drop_weights(checkpoint: Checkpoint) -> None:
    """Deletes the safetensors, which the networks stand for from now on."""
    for file in checkpoint.folder.glob("*.safetensors*"):
        file.unlink()
