"""The folder that training leaves: `aspect/`, `sentiment/`, absa.json, and training.json, which tells what made it.

It appears whole or not at all. Knows no data and no training loop.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from absa_server.training.errors import TrainingError

ROLES = ("aspect", "sentiment")
MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
RECORD_FILE = "training.json"
PROJECT_FILES = ("absa.json", RECORD_FILE)
CHUNK_BYTES = 1 << 20


def content_hash(package: Path, *, inputs: Mapping[str, Path], settings: Mapping[str, Any]) -> str:
    """One hash over all that decides the weights: the source and phrases of `package`, input files, settings."""
    sources = sorted(path for path in package.rglob("*") if path.suffix in {".py", ".txt"})
    total = sha256(json.dumps(settings, sort_keys=True).encode())
    for name, file in [*((str(path.relative_to(package)), path) for path in sources), *sorted(inputs.items())]:
        total.update(f"\n{name} {_file_hash(file)}".encode())
    return total.hexdigest()


def read_record(folder: Path) -> dict[str, Any] | None:
    """training.json of a folder that is complete; None where anything is missing or unreadable."""
    files = [*PROJECT_FILES, *(f"{role}/{name}" for role in ROLES for name in MODEL_FILES)]
    if not all((folder / file).is_file() for file in files):
        return None
    try:
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def refuse_foreign_folder(folder: Path) -> None:
    """Raises `TrainingError` if replacing `folder` would delete what training did not write."""
    if folder.exists() and not (folder.is_dir() and ((folder / RECORD_FILE).is_file() or not any(folder.iterdir()))):
        raise TrainingError(
            f"{folder}: expected a new or empty folder, or one that an earlier training wrote (with a {RECORD_FILE}), "
            "since its content would be replaced; nothing was changed"
        )


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` that takes its place at the end; if the work fails, `folder` stays as it was."""
    refuse_foreign_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        fresh = Path(scratch) / "new"
        fresh.mkdir()
        yield fresh
        if folder.exists():
            folder.rename(Path(scratch) / "old")
        fresh.rename(folder)


def write_tokenizer(base: Path, folder: Path) -> None:
    """The encoder's own tokenizer beside a model, without its habit of cutting and padding everything to 128 tokens."""
    tokenizer = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    settings = json.loads((base / "tokenizer_config.json").read_text(encoding="utf-8"))
    write_json(folder / "tokenizer.json", {**tokenizer, "truncation": None, "padding": None})
    write_json(folder / "tokenizer_config.json", {name: settings[name] for name in settings if name != "name_or_path"})


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """A JSON file that people can read."""
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _file_hash(file: Path) -> str:
    digest = sha256()
    with file.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
