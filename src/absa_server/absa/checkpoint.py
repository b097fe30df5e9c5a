"""One Hugging Face model folder, checked before anything is loaded: config, weights, head, tokenizer, labels.

Every check answers with what the folder's owner has to change. Reads headers only: no weights, no torch.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open

from absa_server.errors import InvalidModel

Task = Literal["token-classification", "sequence-classification"]

ARCHITECTURES: dict[str, Task] = {
    "ForTokenClassification": "token-classification",
    "ForSequenceClassification": "sequence-classification",
}
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
SLOW_TOKENIZER_FILES = ("spiece.model", "spm.model", "sentencepiece.bpe.model", "vocab.txt", "vocab.json")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.state_dict", "*.model_state_dict")
# Networks that an artifact brings in place of its weights; their head is looked at when they are loaded.
COMPILED = tuple(f"openvino/{precision}/network.json" for precision in ("f32", "int8"))
# Families whose position ids begin after the padding id, so that two fewer tokens fit than config.json says.
OFFSET_POSITIONS = {"camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta", "roberta-prelayernorm",
                    "xlm-roberta", "xlm-roberta-xl", "xmod"}  # fmt: skip
# The layer that gives the logits, in the architectures of transformers; what may stand before it is not looked at.
HEADS = ("classifier.weight", "classifier.out_proj.weight", "score.weight", "logits_proj.weight",
         "classifier.2.weight")  # fmt: skip
_NO_LIMIT = 100_000  # tokenizers without a limit say 1e30
_DEFAULT_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model folder that passed its checks. `max_tokens` includes special tokens."""

    folder: Path
    task: Task
    id2label: Mapping[int, str]
    max_tokens: int
    pad_token_id: int
    uses_token_types: bool

    @property
    def tokenizer_json(self) -> str | None:
        """The fast tokenizer's file, or None where the folder has only a slow one that must be converted first.

        Raises `InvalidModel` when the file is no text.
        """
        file = self.folder / "tokenizer.json"
        try:
            return file.read_text(encoding="utf-8") if file.is_file() else None
        except UnicodeDecodeError as error:
            raise InvalidModel(f"{self.folder.name}/tokenizer.json is not UTF-8 text; copy it again") from error


def open_checkpoint(folder: Path, *, role: Task | None, max_lengths: Mapping[Task, int | None]) -> Checkpoint:
    """The model in `folder`. `role` is the task its place in the artifact asks for; None: config.json decides.

    `max_lengths` are the manifest's limits in tokens. Raises `InvalidModel`.
    """
    config = _read_config(folder)
    task = _task(folder, config, role)
    labels = _labels(folder, config)
    _check_weights(folder, len(labels))
    _check_tokenizer(folder)
    return Checkpoint(
        folder=folder,
        task=task,
        id2label=labels,
        max_tokens=_max_tokens(folder, config, max_lengths.get(task)),
        pad_token_id=_whole(config, "pad_token_id"),
        uses_token_types=_whole(config, "type_vocab_size") > 1,
    )


def _read_config(folder: Path) -> dict[str, object]:
    if not (folder / "config.json").is_file():
        raise InvalidModel(f"{folder.name}/config.json is missing; save the model with `save_pretrained`")
    config = _read_json(folder, "config.json")
    if not config.get("model_type"):
        raise InvalidModel(f"{folder.name}/config.json has no model_type; save the model with `save_pretrained`")
    if config.get("auto_map"):
        raise InvalidModel(
            f"{folder.name}/config.json has auto_map: the model runs code of its own, which this server does not; "
            "export it to an architecture of transformers and remove auto_map"
        )
    return config


def _read_json(folder: Path, name: str) -> dict[str, object]:
    try:
        document = json.loads((folder / name).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidModel(f"{folder.name}/{name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidModel(f"{folder.name}/{name} is not a JSON object; save the model with `save_pretrained`")
    return document


def _whole(config: Mapping[str, object], name: str) -> int:
    value = config.get(name)
    return value if isinstance(value, int) else 0


def _task(folder: Path, config: Mapping[str, object], role: Task | None) -> Task:
    architectures = config.get("architectures") or []
    named = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    found = next((task for suffix, task in ARCHITECTURES.items() if named.endswith(suffix)), None)
    if found is None and (named or role is None):
        raise InvalidModel(
            f"{folder.name}/config.json: architectures is {named or 'missing'}; expected one that ends in "
            + " or ".join(ARCHITECTURES)
        )
    if found is not None and role is not None and found != role:
        raise InvalidModel(f"{folder.name}/ holds {named}, but a {role} model belongs there; are the folders swapped?")
    return found or role  # type: ignore[return-value]  # one of the two is known here


def _labels(folder: Path, config: Mapping[str, object]) -> dict[int, str]:
    raw = config.get("id2label")
    if not isinstance(raw, dict) or not raw:
        count = config.get("num_labels", 2)  # transformers' own default, under names that say nothing
        if not isinstance(count, int):
            raise InvalidModel(f"{folder.name}/config.json: num_labels must be a whole number, not {count!r}")
        raw = {str(index): f"LABEL_{index}" for index in range(count)}
    try:
        labels = {int(key): str(name) for key, name in raw.items()}
    except ValueError as error:
        raise InvalidModel(f"{folder.name}/config.json: id2label must map whole numbers to names ({error})") from error
    missing = sorted(set(range(len(labels))) - set(labels))
    if missing:
        raise InvalidModel(
            f"{folder.name}/config.json: id2label must name ids 0 to {len(labels) - 1}; {missing} are missing"
        )
    return labels


def _check_weights(folder: Path, labels: int) -> None:
    """A head that is missing or of the wrong width would load as random numbers, with a mere warning."""
    if not any(folder.glob("*.safetensors*")) and any((folder / name).is_file() for name in COMPILED):
        return
    shapes = {name: shape for file in _weight_files(folder) for name, shape in _shapes(file).items()}
    widths = sorted({shapes[name][0] for name in HEADS if name in shapes})
    if not widths:
        raise InvalidModel(
            f"{folder.name}/{WEIGHTS} has no classification head ({' or '.join(HEADS[:2])}): the encoder was saved "
            "without it, or was never fine-tuned; save the fine-tuned model with `save_pretrained`"
        )
    if labels not in widths:
        raise InvalidModel(
            f"{folder.name}/{WEIGHTS}: the head has {widths} outputs, config.json names {labels} labels in id2label; "
            "they must agree"
        )


def _weight_files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / WEIGHTS_INDEX).is_file():
        weight_map = _read_json(folder, WEIGHTS_INDEX).get("weight_map")
        if not isinstance(weight_map, dict):
            raise InvalidModel(f"{folder.name}/{WEIGHTS_INDEX} has no weight_map; save the model again")
        names = sorted({str(name) for name in weight_map.values()})
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise InvalidModel(f"{folder.name}/{WEIGHTS_INDEX} names {missing}, which are missing")
        return [folder / name for name in names]
    pickles = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
    if pickles:
        raise InvalidModel(
            f"{folder.name}/ has only pickled weights ({', '.join(pickles)}), which can run code when they are read; "
            "save the model with `save_pretrained(..., safe_serialization=True)`"
        )
    raise InvalidModel(f"{folder.name}/{WEIGHTS} is missing; save the model with `save_pretrained`")


def _shapes(file: Path) -> dict[str, list[int]]:
    try:
        with safe_open(file, framework="numpy") as tensors:
            return {name: list(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118  no mapping
    except (SafetensorError, OSError) as error:
        raise InvalidModel(
            f"{file.parent.name}/{file.name} is no whole safetensors file ({error}); copy it again"
        ) from error


def _check_tokenizer(folder: Path) -> None:
    if (folder / "tokenizer.json").is_file() or any((folder / name).is_file() for name in SLOW_TOKENIZER_FILES):
        return
    raise InvalidModel(
        f"{folder.name}/ has no tokenizer; save it beside the model with `AutoTokenizer…save_pretrained`"
    )


def _max_tokens(folder: Path, config: Mapping[str, object], max_length: int | None) -> int:
    """The least of what the tokenizer, the positions and the manifest allow."""
    limits = [max_length] if max_length else []
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int) and positions > 0:
        limits.append(positions - 2 if config["model_type"] in OFFSET_POSITIONS else positions)
    name = "tokenizer_config.json"
    declared = _read_json(folder, name).get("model_max_length") if (folder / name).is_file() else None
    if isinstance(declared, int | float) and 0 < declared < _NO_LIMIT:
        limits.append(int(declared))
    return min(limits, default=_DEFAULT_LENGTH)
