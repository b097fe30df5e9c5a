"""What an artifact is: which models it holds, in which roles, and how they are to be read.

Owns the meaning of the folder's layout and of `absa.json`; the files themselves (sizes, checksums, links) are
model_loader's. Knows no engine.
"""

from dataclasses import dataclass
from pathlib import Path

from absa_server.absa.absa_json import FILE_NAME, AbsaJson, AspectSection, SentimentSection, parse_absa_json
from absa_server.absa.checkpoint import Checkpoint, Task, open_checkpoint
from absa_server.absa.classifier import PolarityLabel
from absa_server.absa.labels import UNNAMED, TagSet, parse_tags
from absa_server.absa.polarity import canonical_polarities
from absa_server.errors import InvalidModel

ROLE_FOLDERS = (AspectSection().path, SentimentSection().path)


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact that passed its checks; at least one of the two models is there."""

    options: AbsaJson
    aspect: Checkpoint | None
    sentiment: Checkpoint | None
    tag_set: TagSet | None
    polarity_labels: tuple[PolarityLabel, ...]

    @property
    def kind(self) -> str:
        """What it can do, in a word for logs and messages."""
        if self.aspect is None:
            return "sentiment only"
        if self.sentiment is None:
            return "joint" if self.tag_set is not None and self.tag_set.is_joint else "aspect only"
        return "chain"


def open_artifact(root: Path) -> Artifact:
    """The artifact at `root`: `aspect/` and `sentiment/` (either may be absent), or one plain model folder.

    Raises `InvalidModel`.
    """
    file = root / FILE_NAME
    options = parse_absa_json(file.read_bytes()) if file.is_file() else AbsaJson()
    checkpoints = _by_role(root, options) or _plain(root, options)
    aspect = next((found for found in checkpoints if found.task == "token-classification"), None)
    sentiment = next((found for found in checkpoints if found.task == "sequence-classification"), None)
    return Artifact(
        options=options,
        aspect=aspect,
        sentiment=sentiment,
        tag_set=parse_tags(aspect.id2label, options.aspect.labels) if aspect else None,
        polarity_labels=parse_polarities(sentiment, options.sentiment.labels) if sentiment else (),
    )


def _by_role(root: Path, options: AbsaJson) -> list[Checkpoint]:
    roles: dict[Task, str] = {
        "token-classification": options.aspect.path,
        "sequence-classification": options.sentiment.path,
    }
    folders = {task: _inside(root, path) for task, path in roles.items()}
    return [
        open_checkpoint(folder, role=task, max_lengths=_max_lengths(options))
        for task, folder in folders.items()
        if folder.is_dir() and folder != root.resolve()
    ]


def _max_lengths(options: AbsaJson) -> dict[Task, int | None]:
    return {
        "token-classification": options.aspect.max_length,
        "sequence-classification": options.sentiment.max_length,
    }


def _inside(root: Path, path: str) -> Path:
    folder = (root / path).resolve()
    if not folder.is_relative_to(root.resolve()):
        raise InvalidModel(f"{FILE_NAME}: path {path!r} leads out of the artifact")
    return folder


def _plain(root: Path, options: AbsaJson) -> list[Checkpoint]:
    if not (root / "config.json").is_file():
        names = sorted(child.name for child in root.iterdir())[:10]
        raise InvalidModel(
            f"no model found: expected {options.aspect.path}/ and {options.sentiment.path}/ (either may be absent), or "
            f"one model's config.json at the top; found {names}"
        )
    return [open_checkpoint(root, role=None, max_lengths=_max_lengths(options))]


def parse_polarities(checkpoint: Checkpoint, renamed: dict[str, str]) -> tuple[PolarityLabel, ...]:
    """The classes of a sentiment model by label id, canonical where their names are known, unchanged where not.

    Raises `InvalidModel` for unnamed labels (`LABEL_n`), or when two of them mean the same polarity.
    """
    own = [checkpoint.id2label[index] for index in sorted(checkpoint.id2label)]
    unused = sorted(set(renamed) - set(own))
    if unused:
        raise InvalidModel(f"{FILE_NAME}: sentiment.labels names {unused}, which the model does not have; it has {own}")
    names = [renamed.get(label, label) for label in own]
    unnamed = [name for name in names if UNNAMED.fullmatch(name)]
    if unnamed or len(own) < 2:
        raise InvalidModel(
            f"labels {own} do not say which polarity they mean, and models differ in their order; add to {FILE_NAME}: "
            '{"sentiment": {"labels": {"LABEL_0": "negative", "LABEL_1": "neutral", …}}}'
        )
    polarities = canonical_polarities(names)
    if len(set(polarities)) < len(polarities):
        raise InvalidModel(f"two of the labels {own} mean the same polarity ({polarities}); rename one in {FILE_NAME}")
    return tuple(PolarityLabel(label, polarity) for label, polarity in zip(own, polarities, strict=True))
